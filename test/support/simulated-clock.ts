import type { Clock } from '../../vmm/net/clock'
import type { Random } from './random-values'

interface Waiting {
  readonly due: number
  readonly order: number
  readonly work: () => void
}

/** Time that passes only when a test says so. */
export class SimulatedClock implements Clock {
  #now = 0
  #orders = 0
  readonly #waiting = new Set<Waiting>()

  /** `lateMs` says how late each timer comes, as on a busy host. */
  constructor(
    private readonly random: Random = () => 0.5,
    private readonly lateMs: () => number = () => 0,
  ) {}

  /** How many timers are set. */
  get timers(): number {
    return this.#waiting.size
  }

  now(): number {
    return this.#now
  }

  later(ms: number, work: () => void): () => void {
    const entry = { due: this.#now + ms + this.lateMs(), order: this.#orders++, work }
    this.#waiting.add(entry)
    return () => void this.#waiting.delete(entry)
  }

  random32(): number {
    return Math.floor(this.random() * 2 ** 32)
  }

  /** Lets `ms` pass, with the timers that come due, in their order. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#waiting.delete(next)
      this.#now = Math.max(this.#now, next.due)
      next.work()
    }
    this.#now = until
  }

  #next(until: number): Waiting | undefined {
    let next: Waiting | undefined
    for (const entry of this.#waiting) {
      const sooner = !next || entry.due < next.due || (entry.due === next.due && entry.order < next.order)
      if (entry.due <= until && sooner) next = entry
    }
    return next
  }
}
