import { existsSync, fdatasync, fdatasyncSync, ftruncateSync, readSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { writeWholeSync } from '../engine/whole-writes'
import { errorCode } from '../model/errors'
import type { BlobPool } from './blob-pool'
import { CHUNK, type Stored } from './chunk-map'
import { damaged } from './damage'
import { NONCE_BYTES, TAG_BYTES, type FileKey, type Seal } from './store-key'
import { syncFolderNow } from './sync-folder-now'

const syncData = promisify(fdatasync)
const NO_SEAL: Seal = { nonce: new Uint8Array(NONCE_BYTES), tag: new Uint8Array(TAG_BYTES) }
/** Chunks that are sealed and written, or read, at a time. */
export const RUN = 64

/** The data file of a blob: slots of a chunk each, sealed. In plain mode the bytes are as they are, and not checked. */
export class ChunkFile {
  /** Whether its name is new in its folder. */
  #created = false
  #found = false
  readonly #bound: Buffer
  /** Sealed bytes on their way. */
  static readonly #transit = Buffer.alloc(RUN * CHUNK)

  constructor(
    readonly path: string,
    private readonly key: FileKey,
    private readonly pool: BlobPool,
  ) {
    this.#bound = Buffer.concat([Buffer.alloc(8), Buffer.from(key.fileId)])
  }

  /** Whether what is read needs no opening, so that parts of chunks can be read. */
  get isPlain(): boolean {
    return !this.key.sealed
  }

  /** Writes chunks `first` on, at most `RUN` of them, into slots `slot` on; only the last may be short. */
  write(first: number, slot: number, data: Uint8Array): Seal[] {
    const seals: Seal[] = []
    for (let at = 0; at < data.byteLength; at += CHUNK) {
      const plain = data.subarray(at, at + CHUNK)
      seals.push(this.#seal(first + at / CHUNK, plain, ChunkFile.#transit.subarray(at, at + plain.byteLength)))
    }
    const descriptor = this.#writable()
    writeWholeSync(descriptor, this.isPlain ? data : ChunkFile.#transit, 0, data.byteLength, slot * CHUNK)
    return seals
  }

  /** Reads whole chunks, at most `RUN`, that lie in a row from the slot of the first on, into `into`. */
  read(first: number, chunks: readonly Stored[], into: Uint8Array): void {
    const slot = chunks[0]?.slot ?? 0
    const bytes = (chunks.length - 1) * CHUNK + (chunks.at(-1)?.length ?? 0)
    const sealed = this.isPlain ? into : ChunkFile.#transit
    this.#fill(sealed, bytes, slot * CHUNK)
    chunks.forEach((chunk, index) => {
      const at = index * CHUNK
      if (!this.isPlain) into.set(this.#open(first + index, sealed.subarray(at, at + chunk.length), chunk), at)
      into.fill(0, at + chunk.length, at + CHUNK)
    })
  }

  /** In plain mode: bytes of one chunk from `from` on. */
  readPart({ slot, length }: Stored, from: number, into: Uint8Array): void {
    const bytes = Math.max(0, Math.min(into.byteLength, length - from))
    this.#fill(into, bytes, slot * CHUNK + from)
    into.fill(0, bytes)
  }

  /** Gives the room behind slot `end` back to the host. */
  cut(end: number): void {
    ftruncateSync(this.#writable(), end * CHUNK)
  }

  async sync(): Promise<void> {
    const { descriptor, release } = this.pool.pin(this.path)
    try {
      await syncData(descriptor)
    } finally {
      release()
    }
    this.#syncName()
  }

  syncNow(): void {
    fdatasyncSync(this.#writable())
    this.#syncName()
  }

  #syncName(): void {
    if (this.#created) syncFolderNow(dirname(this.path))
    this.#created = false
  }

  #writable(): number {
    if (!this.#found) {
      this.#created = !existsSync(this.path)
      this.#found = true
    }
    return this.pool.descriptor(this.path, true)
  }

  #seal(number: number, plain: Uint8Array, into: Uint8Array): Seal {
    if (this.isPlain) return NO_SEAL
    return this.key.seal(plain, this.#boundTo(number), into)
  }

  #open(number: number, sealed: Uint8Array, chunk: Stored): Uint8Array {
    const plain = this.key.open(sealed, chunk, this.#boundTo(number))
    if (plain === null) throw damaged(this.path, 'A part of the file is damaged', { position: number * CHUNK })
    return plain
  }

  #boundTo(number: number): Buffer {
    this.#bound.writeDoubleLE(number, 0)
    return this.#bound
  }

  #fill(into: Uint8Array, bytes: number, position: number): void {
    for (let done = 0; done < bytes;) {
      const count = readSync(this.#readable(), into, done, bytes - done, position + done)
      if (count === 0) throw damaged(this.path, 'The file is cut off', { position: position + done })
      done += count
    }
  }

  #readable(): number {
    try {
      return this.pool.descriptor(this.path, false)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw damaged(this.path, 'The file is missing')
      throw error
    }
  }
}
