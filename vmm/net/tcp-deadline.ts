import type { Clock } from './clock'

/**
 * The one timer of a connection. A deadline that moves on, as most do with every acknowledgement, leaves the timer as
 * it is: it wakes, finds nothing due, and is set anew.
 */
export class Deadline {
  #at = Infinity
  #cancel: (() => void) | null = null

  constructor(
    private readonly clock: Clock,
    private readonly work: () => void,
  ) {}

  /** `work` is called at `at` or before, in milliseconds of the clock; Infinity asks for nothing. */
  set(at: number): void {
    if (at >= this.#at) return
    this.#cancel?.()
    this.#at = at
    this.#cancel = this.clock.later(Math.max(0, Math.ceil(at - this.clock.now())), this.#wake)
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#at = Infinity
  }

  readonly #wake = (): void => {
    this.#cancel = null
    this.#at = Infinity
    this.work()
  }
}
