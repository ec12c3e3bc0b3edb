import { VmmError } from '../model/errors'

/** How far a long piece of work is. */
export interface Progress {
  /** The present step, for people, such as 'Downloading packages'. */
  step: string
  /** In `unit`; starts again with each step that counts bytes. */
  done: number
  /** 0 while the end is not known. */
  total: number
  unit: 'bytes' | 'steps'
}

export type OnProgress = (progress: Progress) => void

/** Throws `cancelled` when `signal` has fired; `what` is the noun for the message, such as 'The import'. */
export function refuseCancelled(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted) throw new VmmError('cancelled', `${what} was cancelled.`)
}
