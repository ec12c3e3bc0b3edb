import { FileError } from './file-error'

/** Bytes of a file are kept in pieces of this size; what was never written takes none. */
const PIECE_BYTES = 65_536
/** As far as a guest may reach: 2^53 - 1. */
const SIZE_MOST = Number.MAX_SAFE_INTEGER

/** The bytes of a file, with holes. */
export class MemoryContent {
  readonly #pieces = new Map<number, Buffer>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** What it takes up, bytes. */
  get used(): number {
    return this.#pieces.size * PIECE_BYTES
  }

  read(position: number, into: Uint8Array): number {
    const count = Math.max(0, Math.min(into.length, this.#size - position))
    each(position, count, (piece, from, to, at) => {
      const bytes = this.#pieces.get(piece)
      if (bytes === undefined) into.fill(0, at, at + to - from)
      else into.set(bytes.subarray(from, to), at)
    })
    return count
  }

  write(position: number, data: Uint8Array): void {
    if (position > SIZE_MOST - data.length) throw new FileError('EFBIG')
    each(position, data.length, (piece, from, to, at) => {
      let bytes = this.#pieces.get(piece)
      if (bytes === undefined) this.#pieces.set(piece, (bytes = Buffer.alloc(PIECE_BYTES)))
      bytes.set(data.subarray(at, at + to - from), from)
    })
    if (data.length > 0) this.#size = Math.max(this.#size, position + data.length)
  }

  truncate(size: number): void {
    if (size > SIZE_MOST) throw new FileError('EFBIG')
    if (size < this.#size) {
      const last = Math.floor(size / PIECE_BYTES)
      for (const piece of this.#pieces.keys()) if (piece > last) this.#pieces.delete(piece)
      this.#pieces.get(last)?.fill(0, size % PIECE_BYTES)
    }
    this.#size = size
  }
}

/** Calls for each piece that [position, position + count) touches, with the bytes in it and where they are in the whole. */
function each(
  position: number,
  count: number,
  call: (piece: number, from: number, to: number, at: number) => void,
): void {
  for (let at = 0; at < count;) {
    const piece = Math.floor((position + at) / PIECE_BYTES)
    const from = position + at - piece * PIECE_BYTES
    const to = Math.min(PIECE_BYTES, from + count - at)
    call(piece, from, to, at)
    at += to - from
  }
}
