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
  /** The beginning of a frame that the last chunk ended in. */
  #rest: Buffer | null = null

  /** False when the stream is broken; nothing can be made of what follows. */
  push(chunk: Buffer, take: TakeFrame): boolean {
    let at = 0
    if (this.#rest !== null) {
      at = this.#finish(chunk, take)
      if (at < 0) return false
    }
    const end = chunk.length
    while (end - at >= LENGTH_BYTES) {
      const length = lengthAt(chunk, at)
      if (length > LONGEST) return false
      const next = at + LENGTH_BYTES + length
      if (next > end) break
      take(chunk, at + LENGTH_BYTES, next)
      at = next
    }
    if (at < end) this.#rest = Buffer.from(chunk.subarray(at))
    return true
  }

  /** Completes the frame begun before; tells where in `chunk` the next begins, or -1 for a broken stream. */
  #finish(chunk: Buffer, take: TakeFrame): number {
    let rest = this.#rest ?? Buffer.alloc(0)
    let at = 0
    if (rest.length < LENGTH_BYTES) {
      at = Math.min(LENGTH_BYTES - rest.length, chunk.length)
      rest = Buffer.concat([rest, chunk.subarray(0, at)])
      this.#rest = rest
      if (rest.length < LENGTH_BYTES) return at
    }
    const length = lengthAt(rest, 0)
    if (length > LONGEST) return -1
    const missing = LENGTH_BYTES + length - rest.length
    const part = chunk.subarray(at, at + missing)
    const whole = Buffer.concat([rest, part])
    if (part.length < missing) {
      this.#rest = whole
      return chunk.length
    }
    this.#rest = null
    take(whole, LENGTH_BYTES, whole.length)
    return at + missing
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
