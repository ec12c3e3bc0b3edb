import type { Clock } from './clock'

/** How often something may be done: `burst` times at once, and again `perSecond` times a second. */
export class Allowance {
  private left: number
  private since: number

  constructor(
    private readonly clock: Clock,
    private readonly perSecond: number,
    private readonly burst: number,
  ) {
    this.left = burst
    this.since = clock.now()
  }

  /** Whether it may be done now; if so it counts. */
  take(): boolean {
    const now = this.clock.now()
    this.left = Math.min(this.burst, this.left + ((now - this.since) * this.perSecond) / 1000)
    this.since = now
    if (this.left < 1) return false
    this.left--
    return true
  }
}
