import { rmSync } from 'node:fs'
import * as v from 'valibot'
import { Blob, type Below } from '../sealed/blob'
import type { BlobPool } from '../sealed/blob-pool'
import { damaged } from '../sealed/damage'
import { Journal } from '../sealed/journal'
import { readFirstRecord } from '../sealed/journal-reader'
import { SharedTurn } from '../sealed/shared-turn'
import type { StoreKey } from '../sealed/store-key'

/** A journal is compacted when it is larger than this and than so many times what it needs. */
const COMPACT_BYTES = 1024 * 1024
const COMPACT_TIMES = 4
/** Bytes of journal that one stored chunk needs. */
const CHUNK_BYTES = 48

const ContentId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
const Head = v.strictObject({
  format: v.literal('vivarium-volume-1'),
  id: ContentId,
  /** The content that this one lies upon. */
  parent: v.nullable(ContentId),
})
export type LayerHead = v.InferOutput<typeof Head>

export interface LayerPlace {
  /** Path of its files without their endings. */
  stem: string
  key: StoreKey
  pool: BlobPool
  below: Below | null
}

/** One content of a volume: sealed data, and a journal that tells where in it each chunk is. */
export class VolumeLayer {
  readonly #flushes = new SharedTurn(() => this.#flush())

  private constructor(
    readonly stem: string,
    readonly blob: Blob,
    private journal: Journal | null,
    private readonly head: LayerHead,
  ) {}

  /** Makes a new one of `bytes`, which reads as what is below. Durable once this returns. */
  static create({ stem, key, pool, below }: LayerPlace, head: Omit<LayerHead, 'format'>, bytes: number): VolumeLayer {
    const full: LayerHead = { format: 'vivarium-volume-1', ...head }
    const journal = Journal.open(mapFile(stem), key, () => undefined)
    try {
      journal.append(encodeHead(full))
      const onChange = (record: Uint8Array) => journal.append(record)
      const blob = Blob.create(dataFile(stem), key, { id: head.id, pool, below, onChange })
      blob.truncate(bytes)
      const layer = new VolumeLayer(stem, blob, journal, full)
      layer.flushNow()
      return layer
    } catch (error) {
      journal.close()
      removeLayerFiles(stem)
      throw error
    }
  }

  /** Opens one that is there, for writing or only to be read. Throws kind `damaged`. */
  static open({ stem, key, pool, below }: LayerPlace, writable: boolean): VolumeLayer {
    const records: Uint8Array[] = []
    const replay = (record: Uint8Array) => void records.push(record)
    const journal = writable ? Journal.open(mapFile(stem), key, replay) : null
    try {
      if (!journal) Journal.read(mapFile(stem), key, replay)
      const head = readHead(records.shift(), mapFile(stem))
      const onChange = (record: Uint8Array) => journal?.append(record)
      const blob = Blob.open(dataFile(stem), key, { id: head.id, pool, below, onChange })
      for (const record of records) blob.apply(record)
      if (!journal) blob.freeze()
      return new VolumeLayer(stem, blob, journal, head)
    } catch (error) {
      journal?.close()
      throw error
    }
  }

  /** What the content in `stem` lies upon; throws kind `damaged`. */
  static parentOf(stem: string, key: StoreKey): string | null {
    return readHead(readFirstRecord(mapFile(stem), key) ?? undefined, mapFile(stem)).parent
  }

  /** Names the content. */
  get id(): string {
    return this.head.id
  }

  /** Resolves once all that was written before is on the disk. */
  flush(): Promise<void> {
    return this.#flushes.ask()
  }

  flushNow(): void {
    const committed = this.blob.flushNow()
    this.journal?.commitNow()
    committed()
  }

  /** Flushes and closes; the layer is not written again, only read. */
  freeze(): void {
    this.flushNow()
    this.journal?.close()
    this.journal = null
    this.blob.freeze()
  }

  /** Takes in what `lower`, which is below, has, and lies from then on upon what that lies upon. */
  absorb(lower: VolumeLayer): void {
    this.blob.absorb(lower.blob)
    this.#compact({ ...this.head, parent: lower.head.parent })
  }

  /** Flushes what can be flushed, and closes. */
  close(): void {
    try {
      if (this.journal) this.flushNow()
    } finally {
      this.abandon()
    }
  }

  /** Closes without a flush. */
  abandon(): void {
    this.blob.close()
    this.journal?.close()
  }

  async #flush(): Promise<void> {
    const committed = await this.blob.flush()
    await this.journal?.commit()
    committed()
    const needed = (this.blob.storedBytes / (16 * 1024)) * CHUNK_BYTES
    if (this.journal && this.journal.bytes > Math.max(COMPACT_BYTES, needed * COMPACT_TIMES)) this.#compact(this.head)
  }

  #compact(head: LayerHead): void {
    const committed = this.blob.flushNow()
    this.journal?.compact(headAnd(head, this.blob.records()))
    committed()
  }
}

export const mapFile = (stem: string) => `${stem}.map`
export const dataFile = (stem: string) => `${stem}.data`

/** Removes a content that nobody has open. */
export function removeLayerFiles(stem: string): void {
  for (const file of [mapFile(stem), `${mapFile(stem)}.partial`, dataFile(stem)]) rmSync(file, { force: true })
}

function* headAnd(head: LayerHead, records: Iterable<Uint8Array>): Generator<Uint8Array> {
  yield encodeHead(head)
  yield* records
}

function encodeHead(head: LayerHead): Uint8Array {
  return Buffer.from(JSON.stringify(head))
}

function readHead(record: Uint8Array | undefined, file: string): LayerHead {
  const text = record ? Buffer.from(record).toString() : ''
  const read = v.safeParse(v.pipe(v.string(), v.maxLength(1000), v.parseJson(), Head), text)
  if (!read.success) throw damaged(file, 'The content of the disk does not begin as one')
  return read.output
}
