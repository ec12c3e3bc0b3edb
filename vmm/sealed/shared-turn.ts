/** Work that many ask for and that is done for all of them at once: whoever asks while it runs gets the next turn. */
export class SharedTurn {
  #running: Promise<void> = Promise.resolve()
  #queued: Promise<void> | null = null

  constructor(private readonly work: () => Promise<void>) {}

  /** Resolves once the work has been done from its beginning after this call. */
  ask(): Promise<void> {
    this.#queued ??= this.#running.then(() => {
      this.#queued = null
      const run = this.work()
      this.#running = run.catch(() => undefined)
      return run
    })
    return this.#queued
  }

  /** Does `work` once what runs now is over. */
  afterwards(work: () => void): void {
    this.#running = this.#running.then(work)
  }
}
