/** Lets any number of waiters sleep until something changes. */
export class WakeUp {
  readonly #waiters = new Set<() => void>()

  /** Wakes everybody who waits now. */
  wake(): void {
    for (const waiter of [...this.#waiters]) waiter()
  }

  /** Resolves at the next `wake`, after `ms`, or when `signal` fires, whichever comes first. */
  wait(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        this.#waiters.delete(settle)
        signal?.removeEventListener('abort', settle)
        resolve()
      }
      const timer = setTimeout(settle, ms)
      this.#waiters.add(settle)
      signal?.addEventListener('abort', settle)
    })
  }
}
