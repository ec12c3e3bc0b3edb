import { u32 } from './packet'

/** The length before each frame, bytes. */
const LENGTH_BYTES = 4

/** Where frames go, and who may have to wait because of that. */
export interface FrameEnd {
  /** Frames with their lengths before them, counted already. `sender` waits when no more is taken. */
  write(frames: Buffer, sender: FrameEnd | null): void
  /** Holds its own frames back, until `release` was called as often. */
  hold(): void
  release(): void
}

/**
 * Frames for one port that lie one after another in a chunk, lengths included: they are written as they came, with one
 * write and without a copy.
 */
export class FrameRun {
  #target: FrameEnd | null = null
  #buffer: Buffer | null = null
  #from = 0
  #end = 0

  /** `sender` is who waits when the target takes no more. */
  constructor(private readonly sender: FrameEnd) {}

  /** Adds the frame in [at, end) of `buffer`, its length lying before it. */
  add(target: FrameEnd, buffer: Buffer, at: number, end: number): void {
    if (target === this.#target && buffer === this.#buffer && at - LENGTH_BYTES === this.#end) {
      this.#end = end
      return
    }
    this.flush()
    this.#target = target
    this.#buffer = buffer
    this.#from = at - LENGTH_BYTES
    this.#end = end
  }

  flush(): void {
    const target = this.#target
    if (target === null || this.#buffer === null) return
    this.#target = null
    target.write(this.#buffer.subarray(this.#from, this.#end), this.sender)
    this.#buffer = null
  }
}

/** How many frames lie one after another in a chunk, each with its length before it. */
export function countFrames(chunk: Buffer): number {
  let count = 0
  for (let at = 0; at < chunk.length; at += LENGTH_BYTES + u32(chunk, at)) count++
  return count
}
