import { WakeUp } from '../model/wake-up'

/** How much of a console is kept, bytes. */
export const SCROLLBACK_BYTES = 1024 * 1024

export interface Scrolled {
  /** Position of `bytes[0]` in all that was ever written. */
  offset: number
  bytes: Uint8Array
  /** Position after the last byte written. */
  end: number
}

/** The last stretch of a console, addressed by position, so that every reader can go at its own pace. */
export class Scrollback {
  readonly #ring: Uint8Array
  #end = 0
  readonly #change = new WakeUp()

  constructor(capacity = SCROLLBACK_BYTES) {
    this.#ring = new Uint8Array(capacity)
  }

  get end(): number {
    return this.#end
  }

  append(bytes: Uint8Array): void {
    const capacity = this.#ring.byteLength
    const kept = bytes.byteLength > capacity ? bytes.subarray(bytes.byteLength - capacity) : bytes
    const at = (this.#end + bytes.byteLength - kept.byteLength) % capacity
    const first = Math.min(kept.byteLength, capacity - at)
    this.#ring.set(kept.subarray(0, first), at)
    this.#ring.set(kept.subarray(first), 0)
    this.#end += bytes.byteLength
    this.#change.wake()
  }

  /** What is kept from `offset` on, at most `limit` bytes; an offset too old is moved up to what is kept. */
  read(offset: number, limit: number): Scrolled {
    const capacity = this.#ring.byteLength
    const oldest = Math.max(0, this.#end - capacity)
    // a position beyond the end was another run's: begin with what there is
    const from = offset > this.#end ? oldest : Math.max(offset, oldest)
    const length = Math.min(limit, this.#end - from)
    const bytes = new Uint8Array(length)
    const at = from % capacity
    const first = Math.min(length, capacity - at)
    bytes.set(this.#ring.subarray(at, at + first), 0)
    bytes.set(this.#ring.subarray(0, length - first), first)
    return { offset: from, bytes, end: this.#end }
  }

  /** As `read`, but waits up to `waitMs` for something new; `signal` ends the wait early. */
  async readSoon(offset: number, limit: number, waitMs: number, signal?: AbortSignal): Promise<Scrolled> {
    if (offset === this.#end && waitMs > 0) await this.#change.wait(waitMs, signal)
    return this.read(offset, limit)
  }
}
