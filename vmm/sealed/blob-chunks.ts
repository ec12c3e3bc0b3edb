import { VmmError } from '../model/errors'
import type { BlobChanges } from './blob-changes'
import type { BlobPool, PlainChunk } from './blob-pool'
import { RUN, type ChunkFile } from './chunk-file'
import { CHUNK, ChunkMap, SLOTS_MOST, type Stored } from './chunk-map'
import type { Extent } from './chunk-records'
import { SlotMap } from './slot-map'

/** What is seen through the chunks that a blob does not have; it must not change. */
export interface Below {
  readonly size: number
  /** Fills `into` from `position` on and returns how much there was. */
  read(position: number, into: Uint8Array): number
}

/** The chunks of a blob, in plain in memory, in slots of its file, or below. A slot is written once, then replaced. */
export class BlobChunks {
  readonly map = new ChunkMap()
  readonly #plain = new Map<number, PlainChunk>()
  #slotMap: SlotMap | null = null

  constructor(
    readonly file: ChunkFile,
    private readonly pool: BlobPool,
    private readonly below: Below | null,
    /** Kept up by the blob. */
    private readonly extent: Readonly<Extent>,
    private readonly changes: BlobChanges,
  ) {}

  /** For the pool: brings a chunk of which parts were written into the file. */
  seal(chunk: PlainChunk): void {
    const length = Math.min(CHUNK, Math.max(this.extent.size - chunk.number * CHUNK, 1))
    this.store(chunk.number, chunk.data.subarray(0, length))
    chunk.dirty = false
  }

  /** For the pool, which needs the room. */
  forget(chunk: PlainChunk): void {
    this.#plain.delete(chunk.number)
  }

  /** Fills `into` with what one chunk has from byte `from` on. */
  readPart(chunk: number, from: number, into: Uint8Array): void {
    const plain = this.#plain.get(chunk)
    const state = plain ? 'plain' : this.map.state(chunk)
    if (plain) {
      this.pool.used(plain)
      into.set(plain.data.subarray(from, from + into.byteLength))
    } else if (state === 'absent') this.#readBelow(chunk * CHUNK + from, into)
    else if (state === 'zero') into.fill(0)
    else if (this.file.isPlain) this.file.readPart(this.map.stored(chunk), from, into)
    else into.set(this.#load(chunk, 'to read').data.subarray(from, from + into.byteLength))
  }

  #readBelow(position: number, into: Uint8Array): void {
    const seen = Math.max(0, Math.min(into.byteLength, this.extent.belowEnd - position))
    const read = seen > 0 ? (this.below?.read(position, into.subarray(0, seen)) ?? 0) : 0
    into.fill(0, read)
  }

  /** Stored chunks, at most `most`, that lie in a row in the file too. */
  storedRun(first: number, most: number): Stored[] {
    const run: Stored[] = []
    while (run.length < Math.min(most, RUN)) {
      const chunk = first + run.length
      const before = run.at(-1)
      const slot = this.map.slot(chunk)
      if (slot < 0 || this.#plain.has(chunk)) break
      if (before && (before.slot + 1 !== slot || before.length < CHUNK)) break
      run.push(this.map.stored(chunk))
    }
    return run
  }

  /** The chunk in plain, kept for what comes next; when it is only read, and there is no room, it is not kept. */
  #load(number: number, purpose: 'to read' | 'to write'): PlainChunk {
    const kept = this.#plain.get(number)
    if (kept) {
      this.pool.used(kept)
      return kept
    }
    const chunk = this.pool.newChunk(this, number)
    const state = this.map.state(number)
    if (state === 'stored') this.file.read(number, [this.map.stored(number)], chunk.data)
    else if (state === 'absent') this.#readBelow(number * CHUNK, chunk.data)
    if (this.pool.keep(chunk, purpose)) this.#plain.set(number, chunk)
    return chunk
  }

  /** Changes a part of a chunk, in memory. */
  writePart(number: number, from: number, data: Uint8Array): void {
    const chunk = this.#load(number, 'to write')
    chunk.data.set(data, from)
    chunk.dirty = true
  }

  /** Puts whole chunks into the file. */
  writeWhole(first: number, data: Uint8Array): void {
    for (let at = 0; at < data.byteLength;) {
      const part = this.store(first + at / CHUNK, data.subarray(at))
      for (const end = at + part; at < end; at += CHUNK) this.discard(this.#plain.get(first + at / CHUNK))
    }
  }

  /** Seals chunks into fresh slots in a row, as many as there are; returns the bytes written. */
  store(first: number, data: Uint8Array): number {
    const { slot, count } = this.slots().allocate(Math.ceil(data.byteLength / CHUNK))
    const part = data.subarray(0, count * CHUNK)
    try {
      if (slot + count > SLOTS_MOST) throw new VmmError('unsupported', 'The file is too large.')
      const seals = this.file.write(first, slot, part)
      seals.forEach(({ nonce, tag }, index) => {
        const length = Math.min(CHUNK, part.byteLength - index * CHUNK)
        this.replace(first + index, { slot: slot + index, length, nonce, tag })
      })
    } catch (error) {
      for (let each = slot; each < slot + count; each++) this.slots().release(each)
      throw error
    }
    return part.byteLength
  }

  /** The chunk is somewhere else from now on. */
  replace(chunk: number, by: Stored | 'zero' | 'absent'): void {
    this.changes.moved(chunk, this.map.slot(chunk), this.slots())
    if (typeof by === 'string') this.map.mark(chunk, by)
    else this.map.store(chunk, by)
  }

  /** Makes chunks below `end` all zeros. */
  zeroWhole(first: number, end: number): void {
    for (const chunk of this.plainFrom(first)) if (chunk.number < end) this.discard(chunk)
    const seen = Math.ceil(this.extent.belowEnd / CHUNK)
    for (let chunk = first; chunk < Math.min(end, seen); chunk++) {
      if (this.map.state(chunk) !== 'zero') this.replace(chunk, 'zero')
    }
    for (const chunk of [...this.map.present(Math.max(first, seen), end)]) this.replace(chunk, 'absent')
  }

  /** Whether the chunk is known to be all zeros. */
  isZero(chunk: number): boolean {
    if (this.#plain.has(chunk)) return false
    const state = this.map.state(chunk)
    return state === 'zero' || (state === 'absent' && chunk * CHUNK >= this.extent.belowEnd)
  }

  /** Chunks from this one on that are in memory, in order. */
  plainFrom(chunk: number): PlainChunk[] {
    return [...this.#plain.values()].filter(({ number }) => number >= chunk).sort((a, b) => a.number - b.number)
  }

  /** Gives up what is in memory, written or not. */
  discard(chunk: PlainChunk | undefined): void {
    if (!chunk) return
    this.#plain.delete(chunk.number)
    this.pool.drop(chunk)
  }

  /** The map was changed from outside. */
  forgetSlots(): void {
    this.#slotMap = null
  }

  slots(): SlotMap {
    if (this.#slotMap) return this.#slotMap
    this.#slotMap = new SlotMap()
    for (const chunk of this.map.present()) {
      const slot = this.map.slot(chunk)
      if (slot >= 0) this.#slotMap.take(slot)
    }
    return this.#slotMap
  }
}
