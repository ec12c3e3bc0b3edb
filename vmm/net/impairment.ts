import type { Clock } from './clock'
import { FrameQueue } from './frame-queue'

/** What may be on its way at once, bytes: 300 ms at 100 Mbit/s. */
const QUEUE_MOST = 4 * 1024 * 1024
/** So many frames at most, however small they are. */
const FRAMES_MOST = 16_384

export interface ImpairmentOptions {
  clock: Clock
  /** Added to the way of every frame, milliseconds. */
  delayMs: number
  /** How many frames of a hundred are lost, by chance. */
  lossPercent: number
  deliver(frame: Buffer): void
}

/**
 * A bad line on purpose: delays frames, and loses some. It keeps their order, and drops what does not fit into its
 * queue. Frames that are handed in are its own from then on.
 */
export class Impairment {
  /** Frames lost because that was asked for. */
  lost = 0
  /** Frames that found the queue full. */
  dropped = 0
  readonly #queue = new FrameQueue<{ readonly frame: Buffer; readonly due: number }>()
  #lastDue = -Infinity
  #delayMs: number
  #lossPercent: number
  #takeBackTimer: (() => void) | null = null
  #delivering = false
  #closed = false

  constructor(private readonly options: ImpairmentOptions) {
    this.#delayMs = options.delayMs
    this.#lossPercent = options.lossPercent
  }

  /** False when the queue was full. A frame that is lost on purpose was sent, as far as anybody can tell. */
  push(frame: Buffer): boolean {
    if (this.#closed) return false
    if (this.#lossPercent > 0 && this.options.clock.random32() < (this.#lossPercent / 100) * 2 ** 32) {
      this.lost++
      return true
    }
    if (this.#delayMs === 0 && this.#queue.length === 0 && !this.#delivering) {
      this.options.deliver(frame)
      return true
    }
    if (this.#queue.bytes + frame.length > QUEUE_MOST || this.#queue.length >= FRAMES_MOST) {
      this.dropped++
      return false
    }
    this.#lastDue = Math.max(this.#lastDue, this.options.clock.now() + this.#delayMs)
    this.#queue.push({ frame, due: this.#lastDue })
    this.#arm()
    return true
  }

  /** For frames from now on; those on their way keep their delay, and are not overtaken. */
  set(delayMs: number, lossPercent: number): void {
    this.#delayMs = delayMs
    this.#lossPercent = lossPercent
  }

  /** Drops what is on its way; nothing is delivered any more. */
  close(): void {
    this.#closed = true
    this.#takeBackTimer?.()
    this.#takeBackTimer = null
    this.#queue.clear()
  }

  #arm(): void {
    const next = this.#queue.head
    if (this.#takeBackTimer || this.#delivering || !next) return
    const wait = Math.max(1, Math.ceil(next.due - this.options.clock.now()))
    this.#takeBackTimer = this.options.clock.later(wait, () => {
      this.#takeBackTimer = null
      this.#deliverDue()
    })
  }

  #deliverDue(): void {
    this.#delivering = true
    try {
      const now = this.options.clock.now()
      while ((this.#queue.head?.due ?? Infinity) <= now) this.options.deliver(this.#queue.shift()!.frame)
    } finally {
      this.#delivering = false
      this.#arm()
    }
  }
}
