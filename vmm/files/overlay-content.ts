import { lstatSync } from 'node:fs'
import { errorCode } from '../model/errors'
import { Blob, type Below, type ChunkRecord } from '../sealed/blob'
import type { BlobPool } from '../sealed/blob-pool'
import type { StoreKey } from '../sealed/store-key'
import { FileError } from './file-error'
import type { LowerBelow } from './overlay-lower'

/** What follows once the journal has the changes of a flush. */
export type AfterCommit = () => void

/** Where contents are at home. */
export interface ContentHome {
  readonly pool: BlobPool
  readonly key: StoreKey
  /** Counts snapshots: what was made before the last one belongs to it too. */
  readonly generation: number
  fileOf(id: string): string
  changed(content: OverlayContent): void
  opened(content: OverlayContent): void
  used(content: OverlayContent): void
}

/** The bytes of one file of the overlay: a blob, above nothing, a lower file or (after a snapshot) a frozen blob. */
export class OverlayContent implements Below {
  #blob: Blob | null = null
  /** The blob's history while it is not open. */
  #records: ChunkRecord[]
  #size: number
  /** null: not known yet. A blob whose file has a second name belongs to a snapshot too. */
  #shared: boolean | null
  /** Of a blob that no journal has heard of. */
  #fresh: boolean
  /** Chunk records that a flush has told of and nobody has taken yet. */
  #told: ChunkRecord[] = []
  /** Flushes that no commit has followed yet; until then it stays open. */
  flushing = 0
  /** Its file is no more: nothing of it is flushed again, also when it was being flushed just then. */
  isGone = false
  /** The snapshot after which it was made. */
  readonly generation: number

  constructor(
    private readonly blobs: ContentHome,
    /** Its number in the journal. */
    readonly number: number,
    /** Names its file. */
    readonly id: string,
    readonly below: OverlayContent | LowerBelow | null,
    stored: { records: ChunkRecord[]; size: number } | null,
  ) {
    this.#records = stored?.records ?? []
    this.#size = stored?.size ?? below?.size ?? 0
    this.#fresh = stored === null
    this.#shared = stored === null ? false : null
    this.generation = blobs.generation
  }

  get file(): string {
    return this.blobs.fileOf(this.id)
  }

  get size(): number {
    return this.#blob?.size ?? this.#size
  }

  /** Room that it takes up, bytes. */
  get used(): number {
    if (!this.#blob && this.#size <= 1024 * 1024) return Math.ceil(this.#size / 512) * 512
    const stored = this.#opened().storedBytes
    return stored + (this.below instanceof OverlayContent ? this.below.used : 0)
  }

  get isOpen(): boolean {
    return this.#blob !== null
  }

  get isDirty(): boolean {
    return this.#blob?.isDirty ?? false
  }

  /** Whether its file belongs to a snapshot too, so that it is not written any more. */
  get isShared(): boolean {
    if (this.generation < this.blobs.generation) return true
    this.#shared ??= namesOf(this.file) > 1
    return this.#shared
  }

  read(position: number, into: Uint8Array): number {
    return this.#guarded(() => this.#opened().read(position, into))
  }

  write(position: number, data: Uint8Array): void {
    this.#change((blob) => blob.write(position, data))
  }

  truncate(size: number): void {
    this.#change((blob) => blob.truncate(size))
  }

  /** Begins a flush at once; resolves with what its records are and what follows their commit. */
  async flush(): Promise<{ records: ChunkRecord[]; after: AfterCommit }> {
    const blob = this.#opened()
    this.flushing++
    try {
      return this.#flushed(await blob.flush())
    } catch (error) {
      this.flushing--
      throw error
    }
  }

  flushNow(): { records: ChunkRecord[]; after: AfterCommit } {
    const after = this.#opened().flushNow()
    this.flushing++
    return this.#flushed(after)
  }

  /** All that a journal must know of it; nothing may be unflushed. */
  records(): ChunkRecord[] {
    return this.#blob ? [...this.#blob.records()] : this.#records
  }

  /** Gives up what it has in memory but its history; nothing may be unflushed. */
  close(): void {
    if (!this.#blob) return
    this.#records = [...this.#blob.records()]
    this.#size = this.#blob.size
    this.forget()
  }

  /** Gives up all, of a content that is no more. */
  forget(): void {
    this.#blob?.close()
    this.#blob = null
  }

  #flushed(after: AfterCommit): { records: ChunkRecord[]; after: AfterCommit } {
    this.#fresh = false
    const committed = (): void => {
      this.flushing--
      after()
    }
    return { records: this.#told.splice(0), after: committed }
  }

  #change(work: (blob: Blob) => void): void {
    const blob = this.#opened()
    this.blobs.changed(this)
    this.#guarded(() => work(blob))
  }

  #opened(): Blob {
    if (this.#blob) {
      this.blobs.used(this)
      return this.#blob
    }
    const onChange = (record: ChunkRecord): void => void this.#told.push(record)
    const options = { id: this.id, pool: this.blobs.pool, below: this.below, onChange }
    const blob = this.#fresh
      ? Blob.create(this.file, this.blobs.key, options)
      : Blob.open(this.file, this.blobs.key, options)
    this.#guarded(() => this.#records.forEach((record) => blob.apply(record)))
    this.#blob = blob
    this.#records = []
    this.blobs.opened(this)
    return blob
  }

  #guarded<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw asFileError(error, `blob ${this.id}:`)
    }
  }
}

/** What a failure means to a guest: the host's full disk is its own, anything else is something that cannot be read. */
export function asFileError(error: unknown, what = ''): FileError {
  if (error instanceof FileError) return error
  const code = errorCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new FileError('ENOSPC', 'the disk of the host is full', { cause: error })
  return new FileError('EIO', `${what} ${error instanceof Error ? error.message : String(error)}`.trim(), {
    cause: error,
  })
}

/** Names that a file of the host has; 0 when there is none. */
function namesOf(file: string): number {
  return lstatSync(file, { throwIfNoEntry: false })?.nlink ?? 0
}
