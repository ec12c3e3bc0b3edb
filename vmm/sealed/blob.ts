import { VmmError } from '../model/errors'
import { BlobChanges, type Taken } from './blob-changes'
import { BlobChunks, type Below } from './blob-chunks'
import type { BlobPool } from './blob-pool'
import { ChunkFile, RUN } from './chunk-file'
import { CHUNK } from './chunk-map'
import { applyRecord, encodeChunks, type ChunkRecord, type Extent } from './chunk-records'
import type { StoreKey } from './store-key'

export type { Below } from './blob-chunks'
export type { ChunkRecord } from './chunk-records'

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
  readonly #pool: BlobPool
  readonly #chunks: BlobChunks
  readonly #onChange: (record: ChunkRecord) => void
  readonly #changes = new BlobChanges()
  #frozen = false
  #broken: unknown = null

  private constructor(file: string, key: StoreKey, { id, pool, below = null, onChange }: BlobOptions) {
    this.below = below
    this.#pool = pool
    this.#onChange = onChange
    this.#extent = { size: below?.size ?? 0, belowEnd: below?.size ?? 0 }
    const data = new ChunkFile(file, key.forFile(id), pool)
    this.#chunks = new BlobChunks(data, pool, below, this.#extent, this.#changes)
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
    return this.#chunks.file.path
  }

  /** Bytes. */
  get size(): number {
    return this.#extent.size
  }

  /** Room that its file takes up, bytes. */
  get storedBytes(): number {
    return this.#chunks.slots().end * CHUNK
  }

  /** Whether there is something that only a flush and a commit would keep. */
  get isDirty(): boolean {
    return this.#changes.any || this.#chunks.plainFrom(0).some(({ dirty }) => dirty)
  }

  /** Takes a record back that `onChange` was given, in the same order; throws kind `damaged`. */
  apply(record: ChunkRecord): void {
    applyRecord(record, this.#chunks.map, this.#extent, this.file)
    this.#chunks.forgetSlots()
  }

  /** The records that make up what was flushed; nothing may be unflushed. For a journal that is compacted. */
  *records(): Generator<ChunkRecord> {
    yield* encodeChunks(this.#extent, this.#chunks.map.present(), this.#chunks.map)
  }

  /** Fills `into` from `position` on; returns how many bytes there were before the end. */
  read(position: number, into: Uint8Array): number {
    const length = Math.max(0, Math.min(into.byteLength, this.size - position))
    for (let at = 0; at < length;) {
      const chunk = Math.floor((position + at) / CHUNK)
      const from = (position + at) % CHUNK
      const run = from === 0 ? this.#chunks.storedRun(chunk, Math.floor((length - at) / CHUNK)) : []
      if (run.length > 0) this.#chunks.file.read(chunk, run, into.subarray(at, at + run.length * CHUNK))
      else this.#chunks.readPart(chunk, from, into.subarray(at, at + Math.min(CHUNK - from, length - at)))
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
      if (whole > 0) this.#chunks.writeWhole(chunk, data.subarray(at, at + part))
      else this.#chunks.writePart(chunk, from, data.subarray(at, at + part))
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
      if (!this.#chunks.isZero(chunk)) this.#chunks.writePart(chunk, from, Buffer.alloc(part))
      at += part
    }
    if (at >= end) return
    const last = end === this.size ? Math.ceil(end / CHUNK) : Math.floor(end / CHUNK)
    this.#chunks.zeroWhole(at / CHUNK, last)
    if (last * CHUNK < end) this.zero(last * CHUNK, end - last * CHUNK)
  }

  /** Sets the size; what is added reads as zeros. */
  truncate(size: number): void {
    this.#requireWritable()
    if (size < this.size) {
      const chunk = Math.floor(size / CHUNK)
      const kept = size % CHUNK
      if (kept > 0 && !this.#chunks.isZero(chunk)) this.#chunks.writePart(chunk, kept, Buffer.alloc(CHUNK - kept))
      const whole = kept > 0 ? chunk + 1 : chunk
      for (const each of this.#chunks.plainFrom(whole)) this.#chunks.discard(each)
      for (const each of [...this.#chunks.map.present(whole)]) this.#chunks.replace(each, 'absent')
      this.#extent.belowEnd = Math.min(this.#extent.belowEnd, size)
    }
    this.#resize(size)
  }

  /** Takes in what `lower`, which is below, has of its own, so that the same is read upon what is below that. */
  absorb(lower: Blob): void {
    this.#requireWritable()
    const seen = Math.ceil(Math.min(this.#extent.belowEnd, this.size) / CHUNK)
    const bytes = Buffer.alloc(CHUNK)
    for (const chunk of lower.#chunks.map.present(0, seen)) {
      if (this.#chunks.map.state(chunk) !== 'absent') continue
      if (lower.#chunks.map.state(chunk) === 'zero') this.#chunks.replace(chunk, 'zero')
      else this.#chunks.store(chunk, bytes.subarray(0, this.read(chunk * CHUNK, bytes)))
    }
    this.#extent.belowEnd = Math.min(this.#extent.belowEnd, lower.#extent.belowEnd)
    this.#changes.resized()
  }

  /** Resolves once the data is on the disk and `onChange` knows it; to be called: what follows the owner's commit. */
  async flush(): Promise<() => void> {
    const taken = this.#begin()
    if (taken.chunks.length > 0) await this.#chunks.file.sync().catch((error: unknown) => this.#fail(error))
    return this.#end(taken)
  }

  /** The same, while the caller waits. */
  flushNow(): () => void {
    const taken = this.#begin()
    try {
      if (taken.chunks.length > 0) this.#chunks.file.syncNow()
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
    for (const chunk of this.#chunks.plainFrom(0)) this.#chunks.discard(chunk)
    this.#pool.close(this.file)
  }

  #begin(): Taken {
    this.#requireSound()
    for (const chunk of this.#chunks.plainFrom(0)) {
      if (chunk.dirty) this.#chunks.seal(chunk)
    }
    return this.#changes.take(this.#chunks.map, this.#extent)
  }

  #end(taken: Taken): () => void {
    for (const record of this.#changes.kept(taken)) this.#onChange(record)
    return () => {
      const slots = this.#changes.committed(taken)
      if (slots.length === 0 || this.#frozen) return
      for (const slot of slots) this.#chunks.slots().release(slot)
      if (this.#chunks.slots().trim()) this.#chunks.file.cut(this.#chunks.slots().end)
    }
  }

  #resize(size: number): void {
    if (size === this.size) return
    this.#extent.size = size
    this.#changes.resized()
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
