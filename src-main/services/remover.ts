import { readdir, rm } from 'node:fs/promises'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import type { Storage } from '../../storage'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Folders } from './folders'
import type { ImageService } from './images'
import { layerFile, layersIn, type StateFiles } from './state-files'

export interface RemoverParts {
  storage: Storage
  folders: Folders
  domains: DomainService
  engines: EngineCatalog
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
    await storage.domains.remove(id)
    for (const snapshot of [...domains.snapshots.values()]) {
      if (snapshot.domainId === id) domains.snapshots.delete(snapshot.id)
    }
    const snapshots = await readdir(folders.snapshots(id)).catch(() => [])
    for (const snapshot of snapshots) await this.#removeLayers(folders.snapshot(id, snapshot))
    await this.#removeLayers(folders.present(id))
    await rm(folders.domain(id), { recursive: true, force: true })
    await images.publish()
  }

  /** Which engine made a layer, the record told that is gone: each removes what is its own. */
  async #removeLayers(files: StateFiles): Promise<void> {
    for (const disk of await layersIn(files)) {
      for (const engine of this.parts.engines.all()) await engine.removeLayer(layerFile(files, disk))
    }
  }
}
