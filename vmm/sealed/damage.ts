import { VmmError } from '../model/errors'

/** What was kept at rest is not what was written. */
export function damaged(file: string, what: string, context: Record<string, unknown> = {}): VmmError {
  return new VmmError('damaged', `${what} (${file})`, {
    hint: 'Revert to a snapshot, or take the file from a backup.',
    context: { file, ...context },
  })
}

export function wrongKey(file: string): VmmError {
  return new VmmError('damaged', `The file was written with another key, or without encryption (${file}).`, {
    hint: 'Import the key that it was written with.',
    context: { file },
  })
}
