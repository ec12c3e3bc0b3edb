import { sizeOf } from './ninep-messages'
import { HEADER_BYTES } from './ninep-wire'

const SIZE_BYTES = 4

/**
 * Takes a stream of 9P messages apart: each begins with its own size in 32 bits, little-endian. Messages are parts of
 * the chunks that came; only one that is split over chunks is copied.
 */
export class NinepSplitter {
  #chunk: Buffer = Buffer.alloc(0)
  /** A message that came in part, and how much of it there is. */
  #part: Buffer | null = null
  #filled = 0

  /** Takes over a chunk. */
  push(chunk: Buffer): void {
    this.#chunk = this.#chunk.length === 0 ? chunk : Buffer.concat([this.#chunk, chunk])
  }

  /** The next whole message; null until more has come; -1 where none of at most `longest` bytes begins. */
  next(longest: number): Buffer | null | -1 {
    if (this.#part !== null) return this.#fill(this.#part)
    if (this.#chunk.length < SIZE_BYTES) return null
    const size = sizeOf(this.#chunk)
    if (size < HEADER_BYTES || size > longest) return -1
    if (this.#chunk.length >= size) return this.#take(size)
    this.#part = Buffer.allocUnsafe(size)
    this.#filled = 0
    return this.#fill(this.#part)
  }

  #fill(part: Buffer): Buffer | null {
    const more = this.#take(Math.min(this.#chunk.length, part.length - this.#filled))
    this.#filled += more.copy(part, this.#filled)
    if (this.#filled < part.length) return null
    this.#part = null
    return part
  }

  #take(bytes: number): Buffer {
    const taken = this.#chunk.subarray(0, bytes)
    this.#chunk = this.#chunk.subarray(bytes)
    return taken
  }
}
