import { rename, rm } from 'node:fs/promises'
import type { DomainRecord } from '../../storage'
import type { VolumeCalls, VolumePlace } from '../../vmm/disks/volume-calls'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import type { DiskCondition, Engine, FileWork } from '../../vmm/engine/engine'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import type { Files } from '../../vmm/files/files'
import { fileSource, rawSource, type BlockSource } from '../../vmm/images/block-source'
import { VmmError } from '../../vmm/model/errors'
import type { Folders } from './folders'
import type { KeyService } from './keys'
import { fileExists, linkOrCopy } from './state-files'

/** Who keeps the layers of a domain's disks. None of them is in use by a machine, but for `layerBytes`. */
export type DiskKeeper = Pick<
  Engine,
  'copyLayer' | 'flattenLayer' | 'removeLayer' | 'layerBytes' | 'diskSource' | 'checkDisk' | 'repairDisk'
>

interface LayersParts {
  engines: EngineCatalog
  folders: Folders
  keys: KeyService
  files: Files
}

/** The layers of all domains' disks, whoever keeps them: engines their own, the file process sealed volumes. */
export class DiskLayers {
  constructor(private readonly parts: LayersParts) {}

  of(record: DomainRecord): DiskKeeper {
    return record.volumes ? this.#volumes(record) : this.parts.engines.get(record.spec.engine)
  }

  /** Null when the engine that keeps them is not part of this version. */
  find(record: DomainRecord): DiskKeeper | null {
    return record.volumes ? this.#volumes(record) : (this.parts.engines.find(record.spec.engine) ?? null)
  }

  /** Whether copies of a layer share content with it. */
  areShared({ volumes, spec }: DomainRecord): boolean {
    return volumes || this.parts.engines.get(spec.engine).capabilities.linkedClone
  }

  /**
   * Removes the volumes of a key that no layer leads to; all layers are named, and none is made meanwhile.
   */
  async sweepVolumes(keyId: string, key: Uint8Array, layers: readonly string[]): Promise<void> {
    const place = { folder: this.parts.folders.volumesOf(keyId), key }
    await this.parts.files.ask('volumes', place, 'sweep', [layers])
  }

  #volumes({ keyId }: DomainRecord): DiskKeeper {
    return new VolumeKeeper(this.parts.files, () => this.#place(keyId))
  }

  #place(keyId: string): VolumePlace {
    return { folder: this.parts.folders.volumesOf(keyId), key: this.parts.keys.key(keyId) }
  }
}

/** Moves a layer to the place of another one, at once: at no moment is there none. */
export async function replaceLayer(keeper: DiskKeeper, from: string, to: string): Promise<void> {
  const replaced = `${from}.replaced`
  const replaces = await fileExists(to)
  if (replaces) await linkOrCopy(to, replaced)
  await rename(from, to)
  if (replaces) await keeper.removeLayer(replaced)
}

/** Sealed volumes, which the file process keeps. */
class VolumeKeeper implements DiskKeeper {
  constructor(
    private readonly files: Files,
    /** Throws kind `denied` while the keys are locked. */
    private readonly place: () => VolumePlace,
  ) {}

  async copyLayer(from: string, to: string): Promise<void> {
    await this.#ask(this.place(), 'copyLayer', from, to)
  }

  async flattenLayer(disk: DiskSpec, to: string, work: FileWork): Promise<void> {
    await this.#flatten(disk, to, 'layer', work)
  }

  /** What only a layer without its key has used goes at a start with the key. */
  async removeLayer(file: string): Promise<void> {
    const place = this.#placeIfOpen()
    if (place) await this.#ask(place, 'removeLayer', file)
    else await rm(file, { force: true })
  }

  async layerBytes(file: string): Promise<number> {
    const place = this.#placeIfOpen()
    return place ? await this.#ask(place, 'layerBytes', file) : 0
  }

  async diskSource(disk: DiskSpec, scratch: string, work: FileWork): Promise<BlockSource> {
    await this.#flatten(disk, scratch, 'file', work)
    return rawSource(fileSource(scratch))
  }

  async checkDisk(disk: DiskSpec): Promise<DiskCondition> {
    return await this.#ask(this.place(), 'check', disk)
  }

  repairDisk(): Promise<void> {
    return Promise.reject(new VmmError('unsupported', 'A damaged sealed disk cannot be mended.'))
  }

  async #flatten(disk: DiskSpec, to: string, kind: 'file' | 'layer', { signal, onProgress }: FileWork): Promise<void> {
    const work = { signal: signal ?? new AbortController().signal, onProgress: onProgress ?? (() => undefined) }
    await this.files.work('flattenVolume', [this.place(), disk, to, kind], work)
  }

  async #ask<K extends keyof VolumeCalls>(
    place: VolumePlace,
    name: K,
    ...args: Parameters<VolumeCalls[K]>
  ): Promise<Awaited<ReturnType<VolumeCalls[K]>>> {
    return (await this.files.ask('volumes', place, name, args)) as Awaited<ReturnType<VolumeCalls[K]>>
  }

  #placeIfOpen(): VolumePlace | null {
    try {
      return this.place()
    } catch {
      return null // locked, or the key is not here: nothing of it can be read
    }
  }
}
