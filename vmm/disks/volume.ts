import { VmmError } from '../model/errors'
import type { BlobPool } from '../sealed/blob-pool'
import type { StoreKey } from '../sealed/store-key'
import { RawBase } from './raw-base'
import { VolumeLayer, type LayerPlace } from './volume-layer'

/** What was written stays in memory and out of the journal at most about this long, and to this amount. */
const UNFLUSHED_MS = 1000
const UNFLUSHED_BYTES = 64 * 1024 * 1024

export interface VolumeSpec {
  /** Stems of the content files, the one that is written first, each lying upon the next. */
  layers: readonly string[]
  /** Raw image below them, or null. */
  base: string | null
  /** Bytes that the image has at least. */
  baseBytes: number
  key: StoreKey
  pool: BlobPool
  /** Nothing is written, not even to repair what a crash left; others may read the same. */
  readOnly?: boolean
}

/**
 * A disk: a chain of layers, of which the newest is written, upon a raw image or nothing. Reads and writes are
 * synchronous and bounded by the size; what was written is on the disk once a flush has resolved. Methods throw what the
 * host says, and kind `damaged` for a chunk that is not what was written; the rest stays readable.
 */
export class Volume {
  readonly #spec: VolumeSpec
  readonly #base: RawBase | null
  /** The one that is written first. */
  #layers: VolumeLayer[] = []
  #unflushed = 0
  #timer: NodeJS.Timeout | null = null

  constructor(spec: VolumeSpec) {
    this.#spec = spec
    this.#base = spec.base === null ? null : new RawBase(spec.base, spec.baseBytes)
    try {
      for (const stem of [...spec.layers].reverse()) {
        const writable = stem === spec.layers[0] && !spec.readOnly
        this.#layers.unshift(VolumeLayer.open(this.#place(stem), writable))
      }
    } catch (error) {
      this.#closeAll('abandon')
      throw error
    }
  }

  /** Bytes. */
  get size(): number {
    return this.#top.blob.size
  }

  /** Fills `into` with what is at `position`. */
  read(position: number, into: Uint8Array): void {
    this.#requireInside(position, into.byteLength)
    this.#top.blob.read(position, into)
  }

  write(position: number, data: Uint8Array): void {
    this.#requireInside(position, data.byteLength)
    this.#top.blob.write(position, data)
    this.#wrote(data.byteLength)
  }

  /** The range reads as zeros from now on, and takes up no room as far as whole chunks go. Also what a discard does. */
  zero(position: number, length: number): void {
    this.#requireInside(position, length)
    this.#top.blob.zero(position, length)
    this.#wrote(0)
  }

  /** Resolves once all that was written before is on the disk. */
  async flush(): Promise<void> {
    this.#unflushed = 0
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    await this.#top.flush()
  }

  /** Makes the disk larger; what is added reads as zeros. */
  grow(bytes: number): void {
    if (bytes < this.size) throw new VmmError('invalid', 'A disk can be made larger, not smaller.')
    this.#top.blob.truncate(bytes)
    this.#top.flushNow()
  }

  /** Leaves what is there as it is for ever, and goes on in the empty content in `stem`, which lies upon it. */
  freezeInto(stem: string): void {
    const old = this.#top
    old.flushNow()
    const next = VolumeLayer.open(this.#place(stem), true)
    old.freeze()
    this.#layers.unshift(next)
  }

  /** Flushes and closes; nobody may wait for a flush. Throws when what was written could not be kept. */
  close(): void {
    this.#closeAll('close')
  }

  /** Closes without a flush, as a crash would. */
  abandon(): void {
    this.#closeAll('abandon')
  }

  get #top(): VolumeLayer {
    const top = this.#layers[0]
    if (!top) throw new VmmError('state', 'The disk is closed.')
    return top
  }

  #place(stem: string): LayerPlace {
    const { key, pool } = this.#spec
    return { stem, key, pool, below: this.#layers[0]?.blob ?? this.#base }
  }

  #wrote(bytes: number): void {
    this.#unflushed += bytes
    // what a flush fails with is told to whoever asks for one next
    const flush = () => void this.flush().catch(() => undefined)
    if (this.#unflushed >= UNFLUSHED_BYTES) flush()
    else this.#timer ??= setTimeout(flush, UNFLUSHED_MS).unref()
  }

  #requireInside(position: number, length: number): void {
    if (position >= 0 && length >= 0 && position + length <= this.size) return
    throw new VmmError('invalid', 'That is beyond the end of the disk.', { context: { position, length } })
  }

  #closeAll(how: 'close' | 'abandon'): void {
    if (this.#timer) clearTimeout(this.#timer)
    const layers = this.#layers
    this.#layers = []
    try {
      for (const layer of layers) layer[how]()
    } finally {
      this.#base?.close()
    }
  }
}
