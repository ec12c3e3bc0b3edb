import { NONCE_BYTES, TAG_BYTES, type Seal } from './store-key'

/** Data is sealed in pieces of this many bytes. */
export const CHUNK = 16 * 1024
/** Chunks of one page of the map. */
const PAGE = 256
/** A chunk in the map: u32 slot + 1, u16 bytes, nonce, tag. */
const ENTRY = 6 + NONCE_BYTES + TAG_BYTES
const ZERO = 0xffffffff
/** Slots are numbered below this. */
export const SLOTS_MOST = ZERO - 1

/** Where a chunk is: in a slot, nowhere because it is all zeros, or (absent) in what lies below. */
export interface Stored extends Seal {
  slot: number
  /** Bytes that were sealed; the rest of the chunk is zeros. */
  length: number
}

/** What a blob knows about its chunks, some 34 bytes each. Small files take little more than they need. */
export class ChunkMap {
  readonly #pages = new Map<number, Buffer>()

  state(chunk: number): 'absent' | 'zero' | 'stored' {
    const slot = this.#slot(chunk)
    return slot === 0 ? 'absent' : slot === ZERO ? 'zero' : 'stored'
  }

  /** The slot of a chunk, or -1 when it has none. */
  slot(chunk: number): number {
    const slot = this.#slot(chunk)
    return slot === ZERO ? -1 : slot - 1
  }

  /** Only of a chunk that has a slot. The nonce and tag are views that the next change may alter. */
  stored(chunk: number): Stored {
    const page = this.#pages.get(Math.floor(chunk / PAGE)) as Buffer
    const at = (chunk % PAGE) * ENTRY
    const tag = at + 6 + NONCE_BYTES
    return {
      slot: page.readUInt32LE(at) - 1,
      length: page.readUInt16LE(at + 4),
      nonce: page.subarray(at + 6, tag),
      tag: page.subarray(tag, tag + TAG_BYTES),
    }
  }

  store(chunk: number, { slot, length, nonce, tag }: Stored): void {
    const page = this.#page(chunk)
    const at = (chunk % PAGE) * ENTRY
    page.writeUInt32LE(slot + 1, at)
    page.writeUInt16LE(length, at + 4)
    page.set(nonce, at + 6)
    page.set(tag, at + 6 + NONCE_BYTES)
  }

  mark(chunk: number, state: 'absent' | 'zero'): void {
    if (state === 'absent' && this.#slot(chunk) === 0) return
    this.#page(chunk).writeUInt32LE(state === 'zero' ? ZERO : 0, (chunk % PAGE) * ENTRY)
  }

  /** The numbers of all chunks that are not absent, `from` on and below `end`, in order. */
  *present(from = 0, end = Infinity): Generator<number> {
    const pages = [...this.#pages.keys()].sort((a, b) => a - b)
    for (const number of pages) {
      if ((number + 1) * PAGE <= from || number * PAGE >= end) continue
      const page = this.#pages.get(number)
      for (let index = 0; page && index * ENTRY < page.length; index++) {
        const chunk = number * PAGE + index
        if (chunk >= from && chunk < end && page.readUInt32LE(index * ENTRY) !== 0) yield chunk
      }
    }
  }

  #slot(chunk: number): number {
    const page = this.#pages.get(Math.floor(chunk / PAGE))
    const at = (chunk % PAGE) * ENTRY
    return page === undefined || at >= page.length ? 0 : page.readUInt32LE(at)
  }

  #page(chunk: number): Buffer {
    const number = Math.floor(chunk / PAGE)
    const old = this.#pages.get(number)
    const needed = (chunk % PAGE) + 1
    const has = (old?.length ?? 0) / ENTRY
    if (old && needed <= has) return old
    const page = Buffer.alloc(Math.min(PAGE, Math.max(needed, has * 2)) * ENTRY)
    if (old) page.set(old)
    this.#pages.set(number, page)
    return page
  }
}
