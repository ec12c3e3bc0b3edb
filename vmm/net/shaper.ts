import { TokenBucket } from '../throttle/token-bucket'
import type { Clock } from './clock'
import { flowBucket } from './frame-flow'
import { FrameQueue } from './frame-queue'
import { FRAME_MOST } from './packet'

/** A burst that is not said is what this long of the rate are, and at least `LEAST_BURST`. */
const BURST_MS = 20
/** Two whole frames, and a little, bytes. */
const LEAST_BURST = 3100
/** How long a whole queue takes: longer ones delay everything without carrying more. */
const QUEUE_MS = 25
/** However fast the rate is, bytes. */
const QUEUE_MOST = 4 * 1024 * 1024
/** Flows that are told from each other; two that share a bucket are treated as one. */
const FLOW_BUCKETS = 256

export interface ShaperOptions {
  clock: Clock
  /** 0 is no limit. */
  bitsPerSecond: number
  /** Bytes that may pass at once; 0 for what 20 ms of the rate are, at least 3100. */
  burstBytes: number
  /** How long a full queue takes to empty, milliseconds. */
  queueMs?: number
  deliver(frame: Buffer): void
}

interface Waiting {
  readonly frame: Buffer
  readonly flow: number
}

/**
 * Holds frames back to a rate. What is too much waits in a queue that is short in time, and what does not fit there is
 * dropped. Counted are the bytes of the frames with their Ethernet headers (14 bytes each), without preamble and check
 * sum, so a TCP transfer with an MTU of 1500 gets 96 % of the rate. Frames that are handed in are the shaper's own from
 * then on: the caller has copied them.
 *
 * A flow that has next to nothing waiting goes first (the sparse flows of fq_codel, RFC 8290), so that a ping or a key
 * stroke does not wait behind a transfer. Frames of one flow never overtake each other.
 */
export class Shaper {
  /** Called when there is room again for one who had been told that there was none. */
  onRoom: (() => void) | null = null
  dropped = 0
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  readonly #queueMs: number
  readonly #deliver: (frame: Buffer) => void
  /** Flows with at most one long frame waiting … */
  readonly #sparse = new FrameQueue<Waiting>()
  /** … and the others; served when no sparse flow waits. */
  readonly #bulk = new FrameQueue<Waiting>()
  readonly #sparseBytes = new Int32Array(FLOW_BUCKETS)
  readonly #bulkFrames = new Int32Array(FLOW_BUCKETS)
  #queueMost = 0
  #takeBackTimer: (() => void) | null = null
  #senderWaits = false
  #draining = false
  #closed = false

  constructor({ clock, bitsPerSecond, burstBytes, queueMs = QUEUE_MS, deliver }: ShaperOptions) {
    this.#clock = clock
    this.#queueMs = queueMs
    this.#deliver = deliver
    this.#bucket = new TokenBucket(clock, bitsPerSecond, burstOf(bitsPerSecond, burstBytes))
    this.#queueMost = this.#queueFor(bitsPerSecond)
  }

  get queuedBytes(): number {
    return this.#sparse.bytes + this.#bulk.bytes
  }

  /** False when the frame was dropped. */
  push(frame: Buffer): boolean {
    if (this.#closed) return false
    if (this.#sparse.length + this.#bulk.length === 0 && !this.#draining && this.#bucket.take(frame.length)) {
      this.#deliver(frame)
      return true
    }
    const flow = flowBucket(frame, FLOW_BUCKETS)
    const sparse = this.#bulkFrames[flow] === 0 && (this.#sparseBytes[flow] ?? 0) + frame.length <= FRAME_MOST
    const queue = sparse ? this.#sparse : this.#bulk
    if (queue.length > 0 && queue.bytes + frame.length > this.#queueMost) {
      this.dropped++
      this.#senderWaits = true
      return false
    }
    queue.push({ frame, flow })
    if (sparse) this.#sparseBytes[flow]! += frame.length
    else this.#bulkFrames[flow]! += 1
    this.#arm()
    return true
  }

  /** Whether a frame of any length would be taken; `onRoom` tells when that is so again. */
  hasRoom(): boolean {
    const room = this.#fits(this.#bulk) && this.#fits(this.#sparse)
    if (!room) this.#senderWaits = true
    return room
  }

  /** Changes the limit from now on. With 0 bits everything that waits goes at once. */
  set(bitsPerSecond: number, burstBytes: number): void {
    this.#bucket.set(bitsPerSecond, burstOf(bitsPerSecond, burstBytes))
    this.#queueMost = this.#queueFor(bitsPerSecond)
    this.#drain()
  }

  /** Drops what waits; nothing is delivered any more. */
  close(): void {
    this.#closed = true
    this.#takeBackTimer?.()
    this.#takeBackTimer = null
    this.#sparse.clear()
    this.#bulk.clear()
  }

  #fits(queue: FrameQueue<Waiting>): boolean {
    return queue.length === 0 || queue.bytes + FRAME_MOST <= this.#queueMost
  }

  #queueFor(bitsPerSecond: number): number {
    return Math.min(QUEUE_MOST, Math.max(2 * FRAME_MOST, (bitsPerSecond / 8000) * this.#queueMs))
  }

  /** Timers have a grain of a millisecond: one that comes early finds nothing to do and is set again. */
  #arm(): void {
    const next = this.#sparse.head ?? this.#bulk.head
    if (this.#takeBackTimer || this.#draining || this.#closed || !next) return
    const wait = Math.max(1, Math.ceil(this.#bucket.waitMs(next.frame.length)))
    this.#takeBackTimer = this.#clock.later(wait, () => {
      this.#takeBackTimer = null
      this.#drain()
    })
  }

  #drain(): void {
    if (this.#draining) return // `deliver` changed the limit; the loop below goes on with it
    this.#takeBackTimer?.()
    this.#takeBackTimer = null
    this.#draining = true
    try {
      for (;;) {
        const next = this.#sparse.head ?? this.#bulk.head
        if (!next || !this.#bucket.take(next.frame.length)) break
        this.#shift()
        this.#deliver(next.frame)
      }
    } finally {
      this.#draining = false
      this.#arm()
    }
    this.#tellRoom()
  }

  #shift(): void {
    const sparse = this.#sparse.shift()
    if (sparse) this.#sparseBytes[sparse.flow]! -= sparse.frame.length
    else this.#bulkFrames[this.#bulk.shift()?.flow ?? 0]! -= 1
  }

  /** At half a queue, so that a sender that waits is woken for more than one frame and the queue never runs dry. */
  #tellRoom(): void {
    if (!this.#senderWaits || this.#closed || !this.hasRoom() || this.queuedBytes > this.#queueMost / 2) return
    this.#senderWaits = false
    this.onRoom?.()
  }
}

/** At least one whole frame, however little is said: with less nothing would ever be let through in one piece. */
function burstOf(bitsPerSecond: number, burstBytes: number): number {
  if (burstBytes > 0) return Math.max(burstBytes, FRAME_MOST)
  return Math.max(LEAST_BURST, (bitsPerSecond / 8000) * BURST_MS)
}
