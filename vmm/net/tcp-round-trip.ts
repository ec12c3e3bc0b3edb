/** Bounds of the retransmission time-out, milliseconds: the path is a local one, the guest may be slow. */
const TIMEOUT_LEAST_MS = 200
const TIMEOUT_MOST_MS = 60_000
/** Before anything was measured. */
const TIMEOUT_FIRST_MS = 500
/** A lone segment may wait for the guest's delayed acknowledgement, milliseconds. */
const GUEST_ACK_DELAY_MS = 50
const PROBE_LEAST_MS = 10

/** Round-trip times of a connection and the time-outs that follow from them, all in milliseconds. (RFC 6298) */
export class RoundTrip {
  smoothed = 0
  #variation = 0
  shortest = Infinity
  #doublings = 0

  /** A time measured on a segment that was sent once. (Karn) */
  sample(ms: number): void {
    if (this.shortest === Infinity) {
      this.smoothed = ms
      this.#variation = ms / 2
    } else {
      this.#variation += (Math.abs(this.smoothed - ms) - this.#variation) / 4
      this.smoothed += (ms - this.smoothed) / 8
    }
    this.shortest = Math.min(this.shortest, ms)
  }

  get timeout(): number {
    const measured = this.shortest === Infinity ? TIMEOUT_FIRST_MS : this.smoothed + 4 * this.#variation
    return Math.min(Math.max(measured, TIMEOUT_LEAST_MS) * 2 ** this.#doublings, TIMEOUT_MOST_MS)
  }

  /** When to probe for the loss of the last segments. (RFC 8985, 7.2) */
  probeTimeout(lone: boolean): number {
    if (this.shortest === Infinity) return this.timeout
    return Math.max(2 * this.smoothed, PROBE_LEAST_MS) + (lone ? GUEST_ACK_DELAY_MS : 0)
  }

  backOff(): void {
    this.#doublings = Math.min(this.#doublings + 1, 10)
  }

  /** The guest has acknowledged something new. */
  progress(): void {
    this.#doublings = 0
  }
}
