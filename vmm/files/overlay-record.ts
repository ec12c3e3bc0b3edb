import type { FileTime } from './provider'

/**
 * What the journal of an overlay says, one after the other in its records. Each tells a state, so that one that is
 * replayed again, or after later ones about other things, changes nothing. Numbers are little-endian; a text is its
 * length (u32) and its bytes (latin1).
 */
export const OP = {
  /** All of a node but its entries and extended attributes. */
  node: 1,
  /** A name of a folder leads to a node. */
  entry: 2,
  /** A name of the lower folder leads nowhere. */
  whiteout: 3,
  /** A name is as it is in the lower folder. */
  asBelow: 4,
  xattr: 5,
  noXattr: 6,
  /** A node and its entries are no more. */
  gone: 7,
  /** A blob, and what lies below it. */
  blob: 8,
  /** A piece of a blob's history, in the blob's own words. */
  chunks: 9,
  blobGone: 10,
  /** Numbers below these have been given out, whatever has become of what had them. */
  counters: 11,
} as const

export class OpWriter {
  #buffer = Buffer.allocUnsafe(4096)
  #at = 0

  get bytes(): number {
    return this.#at
  }

  u8(value: number): this {
    this.#room(1)
    this.#buffer[this.#at++] = value
    return this
  }

  u32(value: number): this {
    this.#room(4)
    this.#at = this.#buffer.writeUInt32LE(value, this.#at)
    return this
  }

  f64(value: number): this {
    this.#room(8)
    this.#at = this.#buffer.writeDoubleLE(value, this.#at)
    return this
  }

  time({ sec, nsec }: FileTime): this {
    return this.f64(sec).u32(nsec)
  }

  text(value: string): this {
    this.u32(value.length)
    this.#room(value.length)
    this.#at += this.#buffer.write(value, this.#at, 'latin1')
    return this
  }

  data(value: Uint8Array): this {
    this.u32(value.byteLength)
    this.#room(value.byteLength)
    this.#buffer.set(value, this.#at)
    this.#at += value.byteLength
    return this
  }

  /** What was written so far, in a buffer of its own; the next begins anew. */
  take(): Uint8Array {
    const taken = Uint8Array.prototype.slice.call(this.#buffer, 0, this.#at)
    this.#at = 0
    return taken
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    this.#buffer.copy(larger, 0, 0, this.#at)
    this.#buffer = larger
  }
}

/** Reads what `OpWriter` wrote; throws `RangeError` for anything else. */
export class OpReader {
  readonly #buffer: Buffer
  #at = 0

  constructor(record: Uint8Array) {
    this.#buffer = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
  }

  get atEnd(): boolean {
    return this.#at === this.#buffer.length
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#advance(1))
  }

  u32(most = 0xffffffff): number {
    const value = this.#buffer.readUInt32LE(this.#advance(4))
    if (value > most) throw new RangeError('number')
    return value
  }

  /** A whole number between these. */
  whole(least: number, most: number): number {
    const value = this.#buffer.readDoubleLE(this.#advance(8))
    if (!Number.isInteger(value) || value < least || value > most) throw new RangeError('number')
    return value
  }

  time(): FileTime {
    const sec = this.whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    return { sec, nsec: this.u32(999_999_999) }
  }

  text(most: number): string {
    const length = this.u32(most)
    const from = this.#advance(length)
    return this.#buffer.toString('latin1', from, from + length)
  }

  /** A view of the record. */
  data(most: number): Uint8Array {
    const length = this.u32(most)
    const from = this.#advance(length)
    return this.#buffer.subarray(from, from + length)
  }

  #advance(bytes: number): number {
    const from = this.#at
    if (from + bytes > this.#buffer.length) throw new RangeError('end')
    this.#at += bytes
    return from
  }
}
