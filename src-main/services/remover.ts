import { readdir, rm } from 'node:fs/promises'
import type { Engine } from '../../vmm/engine/engine'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import type { Storage } from '../../storage'
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
    const engine = await this.#engineOf(id)
    await storage.domains.remove(id)
    await this.parts.forget(id)
    for (const snapshot of [...domains.snapshots.values()]) {
      if (snapshot.domainId === id) domains.snapshots.delete(snapshot.id)
    }
    const snapshots = await readdir(folders.snapshots(id)).catch(() => [])
    for (const snapshot of snapshots) await removeLayers(engine, folders.snapshot(id, snapshot))
    await removeLayers(engine, folders.present(id))
    await rm(folders.domain(id), { recursive: true, force: true })
    await images.publish()
  }

  /** Whose layers they are; null for a record that cannot be read: what they shared goes at the next start. */
  async #engineOf(id: string): Promise<Engine | null> {
    const all = await this.parts.storage.domains.list()
    const record = all.flatMap((stored) => (stored.ok ? stored.record : [])).find((each) => each.id === id)
    return (record && this.parts.engines.find(record.spec.engine)) ?? null
  }
}

async function removeLayers(engine: Engine | null, files: StateFiles): Promise<void> {
  if (!engine) return
  for (const disk of await layersIn(files)) await engine.removeLayer(layerFile(files, disk))
}
