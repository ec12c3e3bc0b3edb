import { rm } from 'node:fs/promises'
import type { Storage } from '../../storage'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Folders } from './folders'
import type { ImageService } from './images'

/** Removes domains for good, record first: what a crash in between leaves behind is swept at the next start. */
export class Remover {
  constructor(
    private readonly parts: { storage: Storage; folders: Folders; domains: DomainService; images: ImageService },
  ) {}

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
    await this.parts.storage.domains.remove(id)
    for (const snapshot of [...this.parts.domains.snapshots.values()]) {
      if (snapshot.domainId === id) this.parts.domains.snapshots.delete(snapshot.id)
    }
    await rm(this.parts.folders.domain(id), { recursive: true, force: true })
    await this.parts.images.publish()
  }
}
