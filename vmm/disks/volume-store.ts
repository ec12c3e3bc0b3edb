import { open, rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import type { DiskCondition, FileWork } from '../engine/engine'
import { LayerStore } from '../engine/qemu-layers'
import { requireBase } from '../engine/qemu-layer-content'
import { newLayerRecord, readLayerRecord } from '../engine/qemu-layer-record'
import { chainOfKind } from '../engine/layer-kind'
import type { DiskSpec } from '../engine/machine-spec'
import { writeWhole } from '../engine/whole-writes'
import { asVmmError, VmmError } from '../model/errors'
import type { BlobPool } from '../sealed/blob-pool'
import type { StoreKey } from '../sealed/store-key'
import { Volume } from './volume'
import { VolumeContent } from './volume-content'
import { partsOf } from './volume-parts'

/**
 * The volumes of all domains. A domain's layer is a small record that names the newest of a chain of contents in one
 * folder; what two records share is never written again. One process at a time may have a folder.
 */
export class VolumeStore {
  readonly #content: VolumeContent
  readonly #layers: LayerStore
  /** By the files of their layers. */
  readonly #open = new Map<string, { volume: Volume; owner: string }>()
  /** Files of layers that are being opened. */
  readonly #opening = new Set<string>()

  constructor(
    folder: string,
    private readonly key: StoreKey,
    private readonly pool: BlobPool,
  ) {
    this.#content = new VolumeContent(folder, key, pool)
    this.#layers = new LayerStore(folder, this.#content)
  }

  /** Opens a domain's disk to be written, making and growing what is missing. Throws kind `damaged`. */
  async open(disk: DiskSpec, owner: string): Promise<Volume> {
    this.#requireUnused(disk.layer)
    this.#opening.add(disk.layer)
    try {
      const opened = await this.#layers.open(disk, ownerOf(disk, owner))
      const volume = this.#volume(opened.files, opened.base, disk.baseBytes)
      this.#open.set(disk.layer, { volume, owner: ownerOf(disk, owner) })
      return volume
    } catch (error) {
      await this.#layers.closed([], ownerOf(disk, owner), false)
      throw error
    } finally {
      this.#opening.delete(disk.layer)
    }
  }

  /** Flushes and closes a disk; throws when what was written could not be kept. Nobody may wait for a flush of it. */
  async close(layer: string): Promise<void> {
    const opened = this.#open.get(layer)
    if (!opened) return
    this.#open.delete(layer)
    try {
      opened.volume.close()
    } catch (error) {
      await this.#layers.closed([layer], opened.owner, false)
      throw error
    }
    await this.#layers.closed([layer], opened.owner, true)
  }

  /** Freezes what `from` holds, of a disk in use too, and lets `to` name it as well. */
  async copyLayer(from: string, to: string): Promise<void> {
    const opened = this.#open.get(from)
    if (!opened) {
      await this.#layers.copy(from, to)
      return
    }
    const stem = await this.#layers.prepare(from, opened.owner)
    try {
      opened.volume.freezeInto(stem)
    } catch (error) {
      await this.#layers.settle(from, false)
      throw error
    }
    await this.#layers.commit(from, to)
  }

  async removeLayer(layer: string): Promise<void> {
    this.#requireUnused(layer)
    await this.#layers.remove(layer)
  }

  /** Room that the newest content of a layer takes up, bytes. */
  async layerBytes(layer: string): Promise<number> {
    const record = await readLayerRecord(layer).catch(() => null) // a damaged one takes up nothing that can be told
    const newest = record && (record.top ?? record.parent)
    return newest ? await this.#content.bytes(newest) : 0
  }

  /** Makes a disk larger, in use or not. */
  async grow(layer: string, bytes: number): Promise<void> {
    this.#open.get(layer)?.volume.grow(bytes)
    await this.#layers.grown(layer, bytes)
  }

  /** Writes what a disk that is not in use reads as to a raw file, with holes where there are zeros. */
  async flatten(disk: DiskSpec, to: string, work: FileWork): Promise<void> {
    const volume = await this.#openToRead(disk)
    const partial = `${to}.partial`
    try {
      const file = await open(partial, 'w', 0o600)
      try {
        for await (const { at, data, isZero } of partsOf(volume, work)) {
          if (!isZero) await writeWhole(file, data, data.length, at)
        }
        await file.truncate(volume.size)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(partial, to)
    } catch (error) {
      await rm(partial, { force: true })
      throw error
    } finally {
      volume.abandon()
    }
  }

  /** Gives the layer `to` all that a disk that is not in use reads as, its base included, shared with nobody. */
  async flattenLayer(disk: DiskSpec, to: string, work: FileWork): Promise<void> {
    const from = await this.#openToRead(disk)
    try {
      const top = await this.#content.createFrom(from, work)
      await this.#layers.put(to, { ...newLayerRecord(disk), bytes: from.size, overBase: false, top })
    } finally {
      from.abandon()
    }
  }

  /** Reads all of a disk that is not in use. */
  async check(disk: DiskSpec): Promise<DiskCondition> {
    try {
      const volume = await this.#openToRead(disk)
      try {
        for await (const _ of partsOf(volume, {}));
      } finally {
        volume.abandon()
      }
      return { damage: '', repairable: false }
    } catch (error) {
      const { kind, message } = asVmmError(error, 'look at the disk')
      if (kind !== 'damaged') throw error
      return { damage: message, repairable: false }
    }
  }

  /** Learns of every layer there is, and removes the contents that none of them leads to. */
  sweep(layers: readonly string[]): Promise<void> {
    return this.#layers.sweep(layers)
  }

  #requireUnused(layer: string): void {
    if (this.#open.has(layer) || this.#opening.has(layer)) throw new VmmError('conflict', 'The disk is in use.')
  }

  async #openToRead(disk: DiskSpec): Promise<Volume> {
    this.#requireUnused(disk.layer)
    await requireBase(disk)
    const record = await readLayerRecord(disk.layer)
    const top = record && (record.top ?? record.parent)
    if (!top) throw new VmmError('state', 'The disk is still empty.', { hint: 'Start the domain once.' })
    const stems = (await chainOfKind(this.#content, top)).map((id) => this.#content.path(id))
    return this.#volume(stems, record.overBase ? disk.base : null, disk.baseBytes, 'read only')
  }

  #volume(layers: readonly string[], base: string | null, baseBytes: number, use: 'read only' | 'written' = 'written') {
    return new Volume({ layers, base, baseBytes, key: this.key, pool: this.pool, readOnly: use === 'read only' })
  }
}

/** Each disk is told apart, as they are opened and closed one by one. */
const ownerOf = (disk: DiskSpec, owner: string) => `${owner} ${basename(disk.layer)}`
