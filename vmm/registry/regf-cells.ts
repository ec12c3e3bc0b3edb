import { BASE, BIN, CELL, damagedHive, viewOf } from './regf-layout'

/**
 * The cells of a hive. Every bin and cell is walked once, so that an offset is only ever that of a cell in use, within
 * its bin. A cell that was taken is not given again: a hive with loops, or with cells that serve twice, is refused, and
 * no more is read than the file holds.
 */
export class HiveCells {
  private readonly view: DataView
  /** A bit for every eight bytes: a cell in use begins here and was not taken. */
  private readonly free: Uint8Array

  /** `file` is kept and must not be changed. Throws `damaged`. */
  constructor(
    private readonly file: Uint8Array,
    private readonly binsSize: number,
  ) {
    this.view = viewOf(file)
    if (binsSize === 0 || binsSize % BIN.SIZE !== 0)
      throw damagedHive(BASE.BINS_SIZE, `it has ${binsSize} bytes of bins`)
    if (BASE.SIZE + binsSize > file.length) throw damagedHive(file.length, 'the file is cut off')
    this.free = new Uint8Array(Math.ceil(binsSize / CELL.ALIGNMENT / 8))
    for (let at = 0; at < binsSize;) at = this.walkBin(at)
  }

  /** The content of the cell, with all that fills it up; from now on nobody else's. */
  take(offset: number, what: string): HiveCell {
    const bit = 1 << ((offset / CELL.ALIGNMENT) & 7)
    const index = Math.floor(offset / CELL.ALIGNMENT / 8)
    if (!this.begins(offset)) throw damagedHive(BASE.SIZE + offset, `there is no cell for ${what}, or it serves twice`)
    this.free[index] = (this.free[index] ?? 0) & ~bit
    const at = BASE.SIZE + offset + CELL.HEAD
    return new HiveCell(this.file.subarray(at, at - CELL.HEAD - this.view.getInt32(at - CELL.HEAD, true)), at)
  }

  private begins(offset: number): boolean {
    if (offset % CELL.ALIGNMENT !== 0 || offset >= this.binsSize) return false
    const index = Math.floor(offset / CELL.ALIGNMENT / 8)
    return ((this.free[index] ?? 0) & (1 << ((offset / CELL.ALIGNMENT) & 7))) !== 0
  }

  /** Where the next bin begins. */
  private walkBin(start: number): number {
    const at = BASE.SIZE + start
    if (this.view.getUint32(at, true) !== HBIN) throw damagedHive(at, 'a bin does not begin where it should')
    const length = this.view.getUint32(at + BIN.LENGTH, true)
    const end = start + length
    if (length === 0 || length % BIN.SIZE !== 0 || end > this.binsSize)
      throw damagedHive(at, `a bin has ${length} bytes`)
    for (let cell = start + BIN.HEADER; cell < end;) {
      const size = this.view.getInt32(BASE.SIZE + cell, true)
      const bytes = Math.abs(size)
      if (bytes === 0 || bytes % CELL.ALIGNMENT !== 0 || cell + bytes > end) {
        throw damagedHive(BASE.SIZE + cell, `a cell has ${size} bytes`)
      }
      if (size < 0) this.mark(cell)
      cell += bytes
    }
    return end
  }

  private mark(offset: number): void {
    const index = Math.floor(offset / CELL.ALIGNMENT / 8)
    this.free[index] = (this.free[index] ?? 0) | (1 << ((offset / CELL.ALIGNMENT) & 7))
  }
}

/** 'hbin' */
const HBIN = 0x6e696268

/** The content of a cell. Reading beyond it throws `damaged`. */
export class HiveCell {
  private readonly view: DataView

  constructor(
    readonly bytes: Uint8Array,
    /** In the file. */
    readonly at: number,
  ) {
    this.view = viewOf(bytes)
  }

  u16(offset: number): number {
    this.check(offset, 2)
    return this.view.getUint16(offset, true)
  }

  u32(offset: number): number {
    this.check(offset, 4)
    return this.view.getUint32(offset, true)
  }

  u64(offset: number): bigint {
    this.check(offset, 8)
    return this.view.getBigUint64(offset, true)
  }

  part(offset: number, length: number): Uint8Array {
    this.check(offset, length)
    return this.bytes.subarray(offset, offset + length)
  }

  /** A name as it is kept: a byte for each character below U+0100, or UTF-16. */
  text(offset: number, length: number, latin: boolean): string {
    const part = this.part(offset, length)
    if (!latin && length % 2 !== 0) throw damagedHive(this.at + offset, 'a name ends within a character')
    return Buffer.from(part.buffer, part.byteOffset, part.length).toString(latin ? 'latin1' : 'utf16le')
  }

  private check(offset: number, length: number): void {
    if (offset + length > this.bytes.length) throw damagedHive(this.at + offset, 'a record is larger than its cell')
  }
}
