import { readdir, rm } from 'node:fs/promises'
import type { Storage } from '../../storage'
import type { DiskKeeper, DiskLayers } from './disk-layers'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Folders } from './folders'
import type { ImageService } from './images'
import { layerFile, layersIn, type StateFiles } from './state-files'

export interface RemoverParts {
  /** Takes the domain out of what is known of networks and files. */
  forget(domainId: string): Promise<void>
  storage: Storage
  folders: Folders
  domains: DomainService
  layers: DiskLayers
  images: ImageService
}

/** Removes domains for good, record first: what a crash in between leaves behind is swept at the next start. */
export class Remover {
  constructor(private readonly parts: RemoverParts) {}

  /** An ephemeral domain, with its machine. */
  async destroy(domain: Domain): Promise<void> {
    const { run } = domain
    domain.run = null
    await run?.kill()
    this.parts.domains.unlist(domain.id)
    await this.removeStored(domain.id)
  }

  /** The record and the files of a domain that is not listed any more. */
  async removeStored(id: string): Promise<void> {
    const { storage, folders, domains, images } = this.parts
    const keeper = await this.#keeperOf(id)
    await storage.domains.remove(id)
    await this.parts.forget(id)
    for (const snapshot of [...domains.snapshots.values()]) {
      if (snapshot.domainId === id) domains.snapshots.delete(snapshot.id)
    }
    const snapshots = await readdir(folders.snapshots(id)).catch(() => [])
    for (const snapshot of snapshots) await removeLayers(keeper, folders.snapshot(id, snapshot))
    await removeLayers(keeper, folders.present(id))
    await rm(folders.domain(id), { recursive: true, force: true })
    await images.publish()
  }

  /** Who keeps its disks; null for a record that cannot be read: what they shared goes at the next start. */
  async #keeperOf(id: string): Promise<DiskKeeper | null> {
    const all = await this.parts.storage.domains.list()
    const record = all.flatMap((stored) => (stored.ok ? stored.record : [])).find((each) => each.id === id)
    return record ? this.parts.layers.find(record) : null
  }
}

async function removeLayers(keeper: DiskKeeper | null, files: StateFiles): Promise<void> {
  if (!keeper) return
  for (const disk of await layersIn(files)) await keeper.removeLayer(layerFile(files, disk))
}
