/**
 * Takes a stream of frames apart: before each frame its length as 32 bits, big-endian, as QEMU's stream netdev has it.
 * Frames are told where they lie; only one that is split over two chunks is copied.
 */
const LENGTH_BYTES = 4
/** Far above what any network card here sends. A longer one is a broken stream. */
const LONGEST = 70_000

/** One frame: it lies in [at, end), and its length in the 4 bytes before. */
export type TakeFrame = (buffer: Buffer, at: number, end: number) => void

export class FrameSplitter {
  /** The frame that the last chunk ended in, with its length before it, and how much of it there is. */
  #part = Buffer.alloc(0)
  #filled = 0

  /** False when the stream is broken; nothing can be made of what follows. */
  push(chunk: Buffer, take: TakeFrame): boolean {
    let at = this.#filled > 0 ? this.#finish(chunk, take) : 0
    if (at < 0) return false
    const end = chunk.length
    while (end - at >= LENGTH_BYTES) {
      const length = lengthAt(chunk, at)
      if (length > LONGEST) return false
      const next = at + LENGTH_BYTES + length
      if (next > end) break
      take(chunk, at + LENGTH_BYTES, next)
      at = next
    }
    if (at < end) this.#keep(chunk, at)
    return true
  }

  /** Completes the frame begun before; tells where in `chunk` the next begins, or -1 for a broken stream. */
  #finish(chunk: Buffer, take: TakeFrame): number {
    let at = 0
    if (this.#filled < LENGTH_BYTES) {
      at = this.#fill(chunk, at, LENGTH_BYTES)
      if (this.#filled < LENGTH_BYTES) return at
      const length = lengthAt(this.#part, 0)
      if (length > LONGEST) return -1
      this.#grow(LENGTH_BYTES + length)
    }
    at = this.#fill(chunk, at, this.#part.length)
    if (this.#filled < this.#part.length) return at
    this.#filled = 0
    take(this.#part, LENGTH_BYTES, this.#part.length)
    return at
  }

  /** Keeps the beginning of a frame; where its length is known, with room for all of it. */
  #keep(chunk: Buffer, at: number): void {
    const bytes = chunk.length - at
    const whole = bytes < LENGTH_BYTES ? LENGTH_BYTES : LENGTH_BYTES + lengthAt(chunk, at)
    this.#part = Buffer.allocUnsafe(whole)
    this.#filled = 0
    this.#fill(chunk, at, whole)
  }

  #fill(chunk: Buffer, at: number, until: number): number {
    const end = Math.min(chunk.length, at + until - this.#filled)
    this.#filled += chunk.copy(this.#part, this.#filled, at, end)
    return end
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(bytes)
    this.#part.copy(larger, 0, 0, this.#filled)
    this.#part = larger
  }
}

function lengthAt(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at)
}

/** A frame with its length before it, as a copy. */
export function framed(frame: Uint8Array): Buffer {
  const whole = Buffer.allocUnsafe(LENGTH_BYTES + frame.length)
  whole.writeUInt32BE(frame.length, 0)
  whole.set(frame, LENGTH_BYTES)
  return whole
}
