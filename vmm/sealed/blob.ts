import { VmmError } from '../model/errors'
import { BlobChanges, type Taken } from './blob-changes'
import type { BlobPool, PlainChunk } from './blob-pool'
import { ChunkFile, RUN } from './chunk-file'
import { CHUNK, ChunkMap, SLOTS_MOST, type Stored } from './chunk-map'
import { applyRecord, encodeChunks, type ChunkRecord, type Extent } from './chunk-records'
import { SlotMap } from './slot-map'
import type { StoreKey } from './store-key'

export type { ChunkRecord } from './chunk-records'

/** What lies below a blob and is seen through it; it must not change. */
export interface Below {
  readonly size: number
  /** Fills `into` from `position` on and returns how much there was. */
  read(position: number, into: Uint8Array): number
}

export interface BlobOptions {
  /** Names the content for ever, whatever its file is called; half of what its key is derived from. */
  id: string
  pool: BlobPool
  below?: Below | null
  /** Takes what the owner must have in its journal; called by the flushes only, after the data is on the disk. */
  onChange: (record: ChunkRecord) => void
}

/**
 * Random access to bytes in a file, sealed in chunks. Nothing that the owner's journal names is ever overwritten, so at
 * any moment the file and the journal agree. The order of a flush: `flush`, which tells `onChange` of the changes; the
 * owner commits its journal; then it calls what `flush` returned, and the room of what was replaced is used again.
 *
 * Methods throw what the host says (such as ENOSPC), with all that was written before intact, and kind `damaged`, naming
 * the file, for a chunk that is not the one that was written.
 */
export class Blob {
  readonly below: Below | null
  readonly #extent: Extent
  readonly #map = new ChunkMap()
  readonly #file: ChunkFile
  readonly #pool: BlobPool
  readonly #onChange: (record: ChunkRecord) => void
  readonly #plain = new Map<number, PlainChunk>()
  #slots: SlotMap | null = null
  readonly #changes = new BlobChanges()
  #frozen = false
  #broken: unknown = null

  private constructor(file: string, key: StoreKey, { id, pool, below = null, onChange }: BlobOptions) {
    this.below = below
    this.#pool = pool
    this.#onChange = onChange
    this.#file = new ChunkFile(file, key.forFile(id), pool)
    this.#extent = { size: below?.size ?? 0, belowEnd: below?.size ?? 0 }
  }

  /** A new blob: as large as what is below, and the same to read. Its file is made when it is first needed. */
  static create(file: string, key: StoreKey, options: BlobOptions): Blob {
    const blob = new Blob(file, key, options)
    blob.#changes.resized()
    return blob
  }

  /** One that was there before: `apply` is to be called for each of its records before anything else. */
  static open(file: string, key: StoreKey, options: BlobOptions): Blob {
    return new Blob(file, key, options)
  }

  get file(): string {
    return this.#file.path
  }

  /** Bytes. */
  get size(): number {
    return this.#extent.size
  }

  /** Room that its file takes up, bytes. */
  get storedBytes(): number {
    return this.#slotMap().end * CHUNK
  }

  /** Whether there is something that only a flush and a commit would keep. */
  get isDirty(): boolean {
    return this.#changes.any || [...this.#plain.values()].some(({ dirty }) => dirty)
  }

  /** Takes a record back that `onChange` was given, in the same order; throws kind `damaged`. */
  apply(record: ChunkRecord): void {
    applyRecord(record, this.#map, this.#extent, this.file)
    this.#slots = null
  }

  /** The records that make up what was flushed; nothing may be unflushed. For a journal that is compacted. */
  *records(): Generator<ChunkRecord> {
    yield* encodeChunks(this.#extent, this.#map.present(), this.#map)
  }

  /** Fills `into` from `position` on; returns how many bytes there were before the end. */
  read(position: number, into: Uint8Array): number {
    const length = Math.max(0, Math.min(into.byteLength, this.size - position))
    for (let at = 0; at < length;) {
      const chunk = Math.floor((position + at) / CHUNK)
      const from = (position + at) % CHUNK
      const run = from === 0 ? this.#storedRun(chunk, Math.floor((length - at) / CHUNK)) : []
      if (run.length > 0) this.#file.read(chunk, run, into.subarray(at, at + run.length * CHUNK))
      else this.#readPart(chunk, from, into.subarray(at, at + Math.min(CHUNK - from, length - at)))
      at += run.length > 0 ? run.length * CHUNK : Math.min(CHUNK - from, length - at)
    }
    return length
  }

  /** Writes, and grows the blob when that goes beyond its end; what is skipped reads as zeros. */
  write(position: number, data: Uint8Array): void {
    this.#requireWritable()
    for (let at = 0; at < data.byteLength;) {
      const chunk = Math.floor((position + at) / CHUNK)
      const from = (position + at) % CHUNK
      const whole = from === 0 ? Math.min(RUN, Math.floor((data.byteLength - at) / CHUNK)) : 0
      const part = whole > 0 ? whole * CHUNK : Math.min(CHUNK - from, data.byteLength - at)
      if (whole > 0) this.#writeWhole(chunk, data.subarray(at, at + part))
      else this.#writePart(chunk, from, data.subarray(at, at + part))
      at += part
      if (position + at > this.size) this.#resize(position + at)
    }
  }

  /** Makes bytes read as zeros, as far as the blob goes; whole chunks take up no room then. */
  zero(position: number, length: number): void {
    this.#requireWritable()
    const end = Math.min(position + length, this.size)
    let at = position
    while (at < end) {
      const from = at % CHUNK
      if (from === 0 && (end - at >= CHUNK || end === this.size)) break
      const part = Math.min(CHUNK - from, end - at)
      const chunk = Math.floor(at / CHUNK)
      if (!this.#isZero(chunk)) this.#writePart(chunk, from, Buffer.alloc(part))
      at += part
    }
    if (at >= end) return
    const last = end === this.size ? Math.ceil(end / CHUNK) : Math.floor(end / CHUNK)
    this.#zeroWhole(at / CHUNK, last)
    if (last * CHUNK < end) this.zero(last * CHUNK, end - last * CHUNK)
  }

  /** Sets the size; what is added reads as zeros. */
  truncate(size: number): void {
    this.#requireWritable()
    if (size < this.size) {
      const chunk = Math.floor(size / CHUNK)
      const kept = size % CHUNK
      if (kept > 0 && !this.#isZero(chunk)) this.#writePart(chunk, kept, Buffer.alloc(CHUNK - kept))
      const whole = kept > 0 ? chunk + 1 : chunk
      for (const each of this.#plainFrom(whole)) this.#discard(each)
      for (const each of [...this.#map.present(whole)]) this.#replace(each, 'absent')
      this.#extent.belowEnd = Math.min(this.#extent.belowEnd, size)
    }
    this.#resize(size)
  }

  /** Takes in what `lower`, which is below, has of its own, so that the same is read upon what is below that. */
  absorb(lower: Blob): void {
    this.#requireWritable()
    const seen = Math.ceil(Math.min(this.#extent.belowEnd, this.size) / CHUNK)
    const bytes = Buffer.alloc(CHUNK)
    for (const chunk of lower.#map.present(0, seen)) {
      if (this.#map.state(chunk) !== 'absent') continue
      if (lower.#map.state(chunk) === 'zero') this.#replace(chunk, 'zero')
      else this.#store(chunk, bytes.subarray(0, this.read(chunk * CHUNK, bytes)))
    }
    this.#extent.belowEnd = Math.min(this.#extent.belowEnd, lower.#extent.belowEnd)
    this.#changes.resized()
  }

  /** Resolves once the data is on the disk and `onChange` knows it; to be called: what follows the owner's commit. */
  async flush(): Promise<() => void> {
    const taken = this.#begin()
    if (taken.chunks.length > 0) await this.#file.sync().catch((error: unknown) => this.#fail(error))
    return this.#end(taken)
  }

  /** The same, while the caller waits. */
  flushNow(): () => void {
    const taken = this.#begin()
    try {
      if (taken.chunks.length > 0) this.#file.syncNow()
    } catch (error) {
      this.#fail(error)
    }
    return this.#end(taken)
  }

  /** Nothing may be written any more; flush before. Its file may be shared from now on. */
  freeze(): void {
    if (this.isDirty) throw new Error('A blob that is frozen has been flushed.')
    this.#frozen = true
  }

  /** Gives up its open file, and what was not flushed. No flush may be under way. */
  close(): void {
    for (const chunk of this.#plain.values()) this.#pool.drop(chunk)
    this.#plain.clear()
    this.#pool.close(this.file)
  }

  /** For the pool: brings a chunk of which parts were written into the file. */
  seal(chunk: PlainChunk): void {
    const length = Math.min(CHUNK, Math.max(this.size - chunk.number * CHUNK, 1))
    this.#store(chunk.number, chunk.data.subarray(0, length))
    chunk.dirty = false
  }

  /** For the pool, which needs the room. */
  forget(chunk: PlainChunk): void {
    this.#plain.delete(chunk.number)
  }

  #begin(): Taken {
    this.#requireSound()
    for (const chunk of [...this.#plain.values()].sort((a, b) => a.number - b.number)) {
      if (chunk.dirty) this.seal(chunk)
    }
    return this.#changes.take(this.#map, this.#extent)
  }

  #end(taken: Taken): () => void {
    for (const record of this.#changes.kept(taken)) this.#onChange(record)
    return () => {
      const slots = this.#changes.committed(taken)
      if (slots.length === 0 || this.#frozen) return
      for (const slot of slots) this.#slotMap().release(slot)
      if (this.#slotMap().trim()) this.#file.cut(this.#slotMap().end)
    }
  }

  #readPart(chunk: number, from: number, into: Uint8Array): void {
    const plain = this.#plain.get(chunk)
    const state = plain ? 'plain' : this.#map.state(chunk)
    if (plain) {
      this.#pool.used(plain)
      into.set(plain.data.subarray(from, from + into.byteLength))
    } else if (state === 'absent') this.#readBelow(chunk * CHUNK + from, into)
    else if (state === 'zero') into.fill(0)
    else if (this.#file.isPlain) this.#file.readPart(this.#map.stored(chunk), from, into)
    else into.set(this.#load(chunk, 'to read').data.subarray(from, from + into.byteLength))
  }

  #readBelow(position: number, into: Uint8Array): void {
    const seen = Math.max(0, Math.min(into.byteLength, this.#extent.belowEnd - position))
    const read = seen > 0 ? (this.below?.read(position, into.subarray(0, seen)) ?? 0) : 0
    into.fill(0, read)
  }

  /** Stored chunks, at most `most`, that lie in a row in the file too. */
  #storedRun(first: number, most: number): Stored[] {
    const run: Stored[] = []
    while (run.length < Math.min(most, RUN)) {
      const chunk = first + run.length
      const before = run.at(-1)
      const slot = this.#map.slot(chunk)
      if (slot < 0 || this.#plain.has(chunk)) break
      if (before && (before.slot + 1 !== slot || before.length < CHUNK)) break
      run.push(this.#map.stored(chunk))
    }
    return run
  }

  /** The chunk in plain, kept for what comes next; when it is only read, and there is no room, it is not kept. */
  #load(number: number, purpose: 'to read' | 'to write'): PlainChunk {
    const kept = this.#plain.get(number)
    if (kept) {
      this.#pool.used(kept)
      return kept
    }
    const chunk = this.#pool.newChunk(this, number)
    const state = this.#map.state(number)
    if (state === 'stored') this.#file.read(number, [this.#map.stored(number)], chunk.data)
    else if (state === 'absent') this.#readBelow(number * CHUNK, chunk.data)
    if (this.#pool.keep(chunk, purpose)) this.#plain.set(number, chunk)
    return chunk
  }

  #writePart(number: number, from: number, data: Uint8Array): void {
    const chunk = this.#load(number, 'to write')
    chunk.data.set(data, from)
    chunk.dirty = true
  }

  #writeWhole(first: number, data: Uint8Array): void {
    for (let at = 0; at < data.byteLength;) {
      const part = this.#store(first + at / CHUNK, data.subarray(at))
      for (const end = at + part; at < end; at += CHUNK) this.#discard(this.#plain.get(first + at / CHUNK))
    }
  }

  /** Seals chunks into fresh slots in a row, as many as there are; returns the bytes written. */
  #store(first: number, data: Uint8Array): number {
    const { slot, count } = this.#slotMap().allocate(Math.ceil(data.byteLength / CHUNK))
    const part = data.subarray(0, count * CHUNK)
    try {
      if (slot + count > SLOTS_MOST) throw new VmmError('unsupported', 'The file is too large.')
      const seals = this.#file.write(first, slot, part)
      seals.forEach(({ nonce, tag }, index) => {
        const length = Math.min(CHUNK, part.byteLength - index * CHUNK)
        this.#replace(first + index, { slot: slot + index, length, nonce, tag })
      })
    } catch (error) {
      for (let each = slot; each < slot + count; each++) this.#slotMap().release(each)
      throw error
    }
    return part.byteLength
  }

  /** The chunk is somewhere else from now on. */
  #replace(chunk: number, by: Stored | 'zero' | 'absent'): void {
    this.#changes.moved(chunk, this.#map.slot(chunk), this.#slotMap())
    if (typeof by === 'string') this.#map.mark(chunk, by)
    else this.#map.store(chunk, by)
  }

  #zeroWhole(first: number, end: number): void {
    for (const chunk of this.#plainFrom(first)) if (chunk.number < end) this.#discard(chunk)
    const seen = Math.ceil(this.#extent.belowEnd / CHUNK)
    for (let chunk = first; chunk < Math.min(end, seen); chunk++) {
      if (this.#map.state(chunk) !== 'zero') this.#replace(chunk, 'zero')
    }
    for (const chunk of [...this.#map.present(Math.max(first, seen), end)]) this.#replace(chunk, 'absent')
  }

  /** Whether the chunk is known to be all zeros. */
  #isZero(chunk: number): boolean {
    if (this.#plain.has(chunk)) return false
    const state = this.#map.state(chunk)
    return state === 'zero' || (state === 'absent' && chunk * CHUNK >= this.#extent.belowEnd)
  }

  #plainFrom(chunk: number): PlainChunk[] {
    return [...this.#plain.values()].filter(({ number }) => number >= chunk)
  }

  #discard(chunk: PlainChunk | undefined): void {
    if (!chunk) return
    this.#plain.delete(chunk.number)
    this.#pool.drop(chunk)
  }

  #resize(size: number): void {
    if (size === this.size) return
    this.#extent.size = size
    this.#changes.resized()
  }

  #slotMap(): SlotMap {
    if (this.#slots) return this.#slots
    this.#slots = new SlotMap()
    for (const chunk of this.#map.present()) {
      const slot = this.#map.slot(chunk)
      if (slot >= 0) this.#slots.take(slot)
    }
    return this.#slots
  }

  #fail(error: unknown): never {
    this.#broken = error // nobody knows what the disk has kept
    throw error
  }

  #requireWritable(): void {
    if (this.#frozen) throw new Error('A frozen blob is not written.')
    this.#requireSound()
  }

  #requireSound(): void {
    if (this.#broken === null) return
    throw new VmmError('damaged', `The disk failed while the file was written (${this.file}).`, {
      hint: 'Check the health of the disk.',
      context: { file: this.file },
      cause: this.#broken,
    })
  }
}
