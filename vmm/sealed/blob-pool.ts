import { closeSync, constants, openSync } from 'node:fs'
import { CHUNK } from './chunk-map'

const FILES = 64
const CHUNKS = 256

/** A chunk in plain, of which a part was read or written. */
export interface PlainChunk {
  readonly owner: { seal(chunk: PlainChunk): void; forget(chunk: PlainChunk): void }
  readonly number: number
  /** A whole chunk; zeros beyond the end of the file. */
  readonly data: Buffer
  /** Whether its file does not have it yet. */
  dirty: boolean
}

interface OpenFile {
  descriptor: number
  writable: boolean
  /** Works that are under way elsewhere and need it open. */
  pins: number
}

/** The open files and plain chunks of many blobs, bounded. */
export class BlobPool {
  readonly #files = new Map<string, OpenFile>()
  /** The one that was used longest ago comes first. */
  readonly #chunks = new Set<PlainChunk>()

  constructor(
    private readonly filesMost = FILES,
    private readonly chunksMost = CHUNKS,
  ) {}

  /** A descriptor of the file, good until the next call. `writable` makes the file when it is missing. */
  descriptor(file: string, writable: boolean): number {
    return this.#open(file, writable).descriptor
  }

  /** A descriptor that stays open until it is released. */
  pin(file: string): { descriptor: number; release: () => void } {
    const open = this.#open(file, true)
    open.pins++
    const release = () => {
      open.pins--
      if (open.pins === 0 && this.#files.get(file) !== open) closeSync(open.descriptor)
    }
    return { descriptor: open.descriptor, release }
  }

  /** Closes the file, or leaves that to whoever still needs it open. */
  close(file: string): void {
    const open = this.#files.get(file)
    if (!open) return
    this.#files.delete(file)
    if (open.pins === 0) closeSync(open.descriptor)
  }

  /** Closes all files; no blob may be in use. */
  closeAll(): void {
    for (const file of [...this.#files.keys()]) this.close(file)
    this.#chunks.clear()
  }

  /**
   * Keeps the chunk and returns true. Another one may have to be sealed for it: when the host refuses that, a chunk that
   * is to be written is refused with the host's error, and one that is only read is not kept.
   */
  keep(chunk: PlainChunk, purpose: 'to read' | 'to write'): boolean {
    try {
      if (this.#chunks.size >= this.chunksMost) this.#evict()
    } catch (error) {
      if (purpose === 'to write') throw error
      return false
    }
    this.#chunks.add(chunk)
    return true
  }

  used(chunk: PlainChunk): void {
    this.#chunks.delete(chunk)
    this.#chunks.add(chunk)
  }

  drop(chunk: PlainChunk): void {
    this.#chunks.delete(chunk)
  }

  newChunk(owner: PlainChunk['owner'], number: number): PlainChunk {
    return { owner, number, data: Buffer.alloc(CHUNK), dirty: false }
  }

  #evict(): void {
    for (const chunk of this.#chunks) {
      if (chunk.dirty) chunk.owner.seal(chunk) // throws, and the chunk stays
      chunk.owner.forget(chunk)
      this.#chunks.delete(chunk)
      return
    }
  }

  #open(file: string, writable: boolean): OpenFile {
    const open = this.#files.get(file)
    if (open && (open.writable || !writable)) {
      if (this.#files.size > 1) {
        this.#files.delete(file)
        this.#files.set(file, open)
      }
      return open
    }
    if (open) this.close(file)
    if (this.#files.size >= this.filesMost) this.#closeOldest()
    const flags = writable ? constants.O_RDWR | constants.O_CREAT : constants.O_RDONLY
    const opened = { descriptor: openSync(file, flags, 0o600), writable, pins: 0 }
    this.#files.set(file, opened)
    return opened
  }

  #closeOldest(): void {
    for (const [file, { pins }] of this.#files) {
      if (pins > 0) continue
      this.close(file)
      return
    }
  }
}
