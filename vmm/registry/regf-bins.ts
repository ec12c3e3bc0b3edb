import { VmmError } from '../model/errors'
import { BASE, BIN, CELL, viewOf } from './regf-layout'

/** Windows maps a hive as a whole, and uses the highest bit of an offset for keys that are in memory only. */
const HIVE_MOST = 0x7fff_f000
const FIRST_ROOM = 1 << 20

/** The bins of a hive that is being written: cells one after another, each within one bin. */
export class HiveBins {
  private bytes = new Uint8Array(FIRST_ROOM)
  private view = viewOf(this.bytes)
  /** Of the bin that is being filled. */
  private start = 0
  private end = 0
  private next = 0

  /** A new cell of `length` bytes, all 0: its offset. */
  allocate(length: number): number {
    const size = Math.ceil((CELL.HEAD + length) / CELL.ALIGNMENT) * CELL.ALIGNMENT
    if (this.next + size > this.end) this.openBin(size)
    const offset = this.next
    this.view.setInt32(BASE.SIZE + offset, -size, true)
    this.next += size
    return offset
  }

  /** A new cell with this content. */
  put(content: Uint8Array): number {
    const offset = this.allocate(content.length)
    this.content(offset).bytes.set(content)
    return offset
  }

  /** The content of a cell, to be written to until the next is allocated. */
  content(offset: number): { bytes: Uint8Array; view: DataView } {
    const at = BASE.SIZE + offset + CELL.HEAD
    const size = -this.view.getInt32(at - CELL.HEAD, true)
    const bytes = this.bytes.subarray(at, at - CELL.HEAD + size)
    return { bytes, view: viewOf(bytes) }
  }

  /** All of it, with room for the base block before it, and how many bytes the bins have. */
  finish(): { bytes: Uint8Array; view: DataView; binsSize: number } {
    this.closeBin()
    const bytes = this.bytes.subarray(0, BASE.SIZE + this.end)
    return { bytes, view: viewOf(bytes), binsSize: this.end }
  }

  private openBin(size: number): void {
    this.closeBin()
    this.start = this.end
    this.end += Math.ceil((BIN.HEADER + size) / BIN.SIZE) * BIN.SIZE
    this.makeRoom(BASE.SIZE + this.end)
    const at = BASE.SIZE + this.start
    this.bytes.set(Buffer.from('hbin'), at)
    this.view.setUint32(at + BIN.OFFSET, this.start, true)
    this.view.setUint32(at + BIN.LENGTH, this.end - this.start, true)
    this.next = this.start + BIN.HEADER
  }

  /** What is left becomes a cell that is not in use. */
  private closeBin(): void {
    if (this.next < this.end) this.view.setInt32(BASE.SIZE + this.next, this.end - this.next, true)
  }

  private makeRoom(wanted: number): void {
    if (wanted > HIVE_MOST) {
      throw new VmmError('unsupported', 'The keys and values do not fit into one hive.', {
        hint: 'A hive has at most 2 GiB. Export a part of them, or export as .reg.',
      })
    }
    if (wanted <= this.bytes.length) return
    const grown = new Uint8Array(Math.min(Math.max(wanted, this.bytes.length * 2), HIVE_MOST))
    grown.set(this.bytes)
    this.bytes = grown
    this.view = viewOf(grown)
  }
}
