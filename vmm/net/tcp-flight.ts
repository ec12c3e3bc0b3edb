/** Segments that may be on their way from the start: the path is a local one and pushes back before it is full. */
const FIRST_SEGMENTS = 64
/** Loss on a local path is rarely a queue that runs over, so that it never costs all of the rate. */
const LEAST_SEGMENTS = 10
const FLIGHT_MOST = 4 * 2 ** 20
const AFTER_LOSS = 0.7
/** Segments more for each flight that arrives once loss was met. */
const REGAIN_SEGMENTS = 4

/**
 * How many bytes may be on their way to the guest besides what its window says. It doubles until the first loss and
 * grows slowly after it: a shaper that drops is met at its rate, and loss at random does not end the transfer.
 */
export class Flight {
  /** Bytes. */
  limit: number
  #threshold = Infinity

  constructor(private readonly mss: number) {
    this.limit = FIRST_SEGMENTS * mss
  }

  /** `bytes` have arrived while the limit was in use. */
  arrived(bytes: number): void {
    const grown = this.limit < this.#threshold ? bytes : (REGAIN_SEGMENTS * this.mss * bytes) / this.limit
    this.limit = Math.min(Math.floor(this.limit + grown), FLIGHT_MOST)
  }

  /** Something of `inFlight` bytes was lost; once for each flight. */
  lost(inFlight: number): void {
    const kept = Math.floor(Math.min(this.limit, inFlight) * AFTER_LOSS)
    this.#threshold = Math.max(kept, LEAST_SEGMENTS * this.mss)
    this.limit = this.#threshold
  }

  /** Nothing came back for long. */
  timedOut(inFlight: number): void {
    this.lost(inFlight)
    this.limit = LEAST_SEGMENTS * this.mss
  }
}
