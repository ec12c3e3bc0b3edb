import type { Topic } from '../contract'

/** What main remembers of one connected client. The object itself stands for the client. */
export class ClientSession {
  topics: ReadonlySet<Topic> = new Set()
  /** Ephemeral domains that go when the client goes. */
  readonly ephemeral = new Set<string>()
  readonly #gone = new AbortController()

  /** Fires when the client is gone: waiting calls end. */
  get signal(): AbortSignal {
    return this.#gone.signal
  }

  close(): void {
    this.#gone.abort()
  }
}
