import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileWork } from '../engine/engine'
import type { LayerKind } from '../engine/layer-kind'
import { newId } from '../engine/qemu-layer-record'
import type { Below } from '../sealed/blob'
import type { BlobPool } from '../sealed/blob-pool'
import type { StoreKey } from '../sealed/store-key'
import type { Volume } from './volume'
import { partsOf } from './volume-parts'
import { dataFile, mapFile, removeLayerFiles, VolumeLayer } from './volume-layer'

const FILE = /^([0-9a-f]{32})\.(?:data|map|map\.partial)$/

/** The contents of volumes in their folder. */
export class VolumeContent implements LayerKind {
  constructor(
    private readonly folder: string,
    readonly key: StoreKey,
    readonly pool: BlobPool,
  ) {}

  idOf(name: string): string | null {
    return FILE.exec(name)?.[1] ?? null
  }

  /** Its files' path without their endings. */
  path(id: string): string {
    return join(this.folder, id)
  }

  create(id: string, { bytes, parent, base }: { bytes: number; parent: string | null; base: string | null }) {
    // how far it sees what is below is all that it has to know of it now
    const below = parent === null && base === null ? null : unread(bytes)
    return this.#now(() => VolumeLayer.create(this.#place(id, below), { id, parent }, bytes).close())
  }

  /** Makes a content that holds all that `volume` reads as, and lies upon nothing; returns its id. */
  async createFrom(volume: Volume, work: FileWork): Promise<string> {
    const id = newId()
    const layer = VolumeLayer.create(this.#place(id, null), { id, parent: null }, volume.size)
    try {
      for await (const { at, data, isZero } of partsOf(volume, work)) if (!isZero) layer.blob.write(at, data)
      layer.close()
      return id
    } catch (error) {
      layer.abandon()
      removeLayerFiles(this.path(id))
      throw error
    }
  }

  grow(id: string, bytes: number): Promise<void> {
    return this.#now(() => {
      const layer = VolumeLayer.open(this.#place(id, null), true)
      layer.blob.truncate(Math.max(bytes, layer.blob.size))
      layer.close()
    })
  }

  parentOf(id: string): Promise<string | null> {
    return this.#now(() => VolumeLayer.parentOf(this.path(id), this.key))
  }

  merge(upper: string, lower: string): Promise<void> {
    return this.#now(() => {
      const below = VolumeLayer.open(this.#place(lower, null), false)
      try {
        const layer = VolumeLayer.open(this.#place(upper, below.blob), true)
        try {
          layer.absorb(below)
          layer.close()
        } catch (error) {
          layer.abandon()
          throw error
        }
      } finally {
        below.abandon()
      }
    })
  }

  async bytes(id: string): Promise<number> {
    const sizes = [dataFile(this.path(id)), mapFile(this.path(id))].map((file) =>
      stat(file).then(
        ({ blocks }) => blocks * 512,
        () => 0, // nothing has been written yet
      ),
    )
    return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
  }

  remove(id: string): Promise<void> {
    return this.#now(() => removeLayerFiles(this.path(id)))
  }

  #place(id: string, below: Below | null) {
    return { stem: this.path(id), key: this.key, pool: this.pool, below }
  }

  /** The file process works with files synchronously, which is several times faster. */
  async #now<T>(work: () => T): Promise<T> {
    return await Promise.resolve().then(work)
  }
}

/** Stands for what is below while nothing is read through it. */
function unread(size: number): Below {
  return {
    size,
    read: () => {
      throw new Error('What is below is not open.')
    },
  }
}
