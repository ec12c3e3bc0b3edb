import type { Clock } from '../net/clock'

/** Room for the error of adding up fractions, bytes. */
const ROUNDING = 1e-6

/**
 * A budget of bytes that fills at a rate, up to a burst. What it holds follows from the time that has passed, not from
 * how often it was asked, so that late and coarse timers cost no rate as long as they are late by less than the burst
 * lasts.
 */
export class TokenBucket {
  #bytesPerMs = 0
  #burst = 0
  #tokens = 0
  #at: number

  /** Full at first. `bitsPerSecond` 0 is no limit. */
  constructor(
    private readonly clock: Pick<Clock, 'now'>,
    bitsPerSecond: number,
    burstBytes: number,
  ) {
    this.#at = clock.now()
    this.set(bitsPerSecond, burstBytes)
    this.#tokens = this.#burst
  }

  get unlimited(): boolean {
    return this.#bytesPerMs === 0
  }

  /** Changes the rate from now on; what was saved stays, as far as the new burst goes. */
  set(bitsPerSecond: number, burstBytes: number): void {
    this.#fill()
    this.#bytesPerMs = bitsPerSecond / 8000
    this.#burst = burstBytes
    this.#tokens = this.unlimited ? burstBytes : Math.min(this.#tokens, burstBytes)
  }

  /** Takes `bytes` if they are there. More than the burst is given against a full bucket, and then owed. */
  take(bytes: number): boolean {
    if (this.unlimited) return true
    this.#fill()
    if (this.#tokens + ROUNDING < Math.min(bytes, this.#burst)) return false
    this.#tokens -= bytes
    return true
  }

  /** How long until `take(bytes)` succeeds, milliseconds; 0 when it would now. */
  waitMs(bytes: number): number {
    if (this.unlimited) return 0
    this.#fill()
    const missing = Math.min(bytes, this.#burst) - this.#tokens
    return missing <= ROUNDING ? 0 : missing / this.#bytesPerMs
  }

  /** How long until nothing is owed, milliseconds. */
  get debtMs(): number {
    if (this.unlimited) return 0
    this.#fill()
    return this.#tokens >= -ROUNDING ? 0 : -this.#tokens / this.#bytesPerMs
  }

  /** Takes `bytes` whether they are there or not; what is not is owed. */
  spend(bytes: number): void {
    if (this.unlimited) return
    this.#fill()
    this.#tokens -= bytes
  }

  /** Forgets what was saved. */
  empty(): void {
    this.#tokens = Math.min(this.#tokens, 0)
  }

  #fill(): void {
    const now = this.clock.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#bytesPerMs)
    this.#at = now
  }
}
