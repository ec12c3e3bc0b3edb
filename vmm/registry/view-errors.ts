import { FileError } from '../files/file-error'
import { VmmError } from '../model/errors'

/** null for what is not there. */
export function attempt<Result>(work: () => Result): Result | null {
  try {
    return work()
  } catch (error) {
    if (error instanceof FileError && error.code === 'ENOENT') return null
    throw error
  }
}

/** What the registry refuses, as an error of a file tree. */
export function guarded<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw fileError(error)
  }
}

export function fileError(error: unknown): unknown {
  if (!(error instanceof VmmError)) return error
  const codes = { 'not-found': 'ENOENT', invalid: 'EINVAL', conflict: 'ENOTEMPTY', 'disk-full': 'ENOSPC' } as const
  const denied = error.context['action'] === 'read-only' ? 'EROFS' : 'EACCES'
  const code = error.kind === 'denied' ? denied : error.kind in codes ? codes[error.kind as keyof typeof codes] : 'EIO'
  return new FileError(code, error.message, { cause: error })
}
