import { TokenBucket } from '../throttle/token-bucket'
import type { Clock } from './clock'

/** Frames to all that one sender may send a second; one is many for those who get it. */
const TO_ALL_PER_SECOND = 200

/** Bounds what senders say to everybody. */
export class StormGuard<Sender extends object> {
  readonly #buckets = new WeakMap<Sender, TokenBucket>()

  constructor(private readonly clock: Clock) {}

  /** Whether one more frame to all is let pass. */
  lets(sender: Sender): boolean {
    const bucket = this.#buckets.get(sender) ?? new TokenBucket(this.clock, TO_ALL_PER_SECOND * 8, TO_ALL_PER_SECOND)
    this.#buckets.set(sender, bucket)
    return bucket.take(1)
  }
}
