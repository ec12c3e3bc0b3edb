import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { HiveView } from '../contract'
import type { ImportedHive } from '../../vmm/registry/registry-calls'
import { VmmError } from '../../vmm/model/errors'
import type { HiveRecord, Storage } from '../../storage'
import type { DomainService } from './domains'
import type { Folders } from './folders'

interface HivesParts {
  storage: Storage
  folders: Folders
  domains: DomainService
}

/** Base hives of the registry, which domains share. */
export class HiveService {
  #hives = new Map<string, HiveRecord>()

  constructor(private readonly parts: HivesParts) {}

  async load(): Promise<void> {
    this.#hives = new Map((await this.parts.storage.hives.list()).map((hive) => [hive.id, hive]))
  }

  views(): HiveView[] {
    return [...this.#hives.values()].map(({ id, name, source, keys, values, bytes, createdAt }) => {
      return { id, name, source, keys, values, bytes, createdAt, usedBy: this.#usersOf(id) }
    })
  }

  /** A hive that a domain with this key may see. */
  require(id: string, keyId: string): HiveRecord {
    const hive = this.#get(id)
    if (hive.keyId === keyId) return hive
    throw new VmmError('unsupported', `The hive ${hive.name} is sealed with another key than the domain.`, {
      hint: 'Import it again for this domain.',
    })
  }

  /** Takes hives that the file process has kept; one that is known already is the same. */
  async add(imported: readonly ImportedHive[], name: string, keyId: string): Promise<void> {
    for (const { id, source, at, keys, values, bytes } of imported) {
      if (this.#hives.has(id)) continue
      const title = imported.length > 1 ? `${name} (${at})` : name
      const record: HiveRecord = { id, name: title, source, keyId, keys, values, bytes, createdAt: Date.now() }
      await this.parts.storage.hives.insert(record)
      this.#hives.set(id, record)
    }
  }

  async rename(id: string, name: string): Promise<void> {
    const hive = this.#get(id)
    await this.parts.storage.hives.rename(id, name)
    this.#hives.set(id, { ...hive, name })
  }

  async remove(id: string): Promise<void> {
    const { name, keyId } = this.#get(id)
    const users = await this.#allUsersOf(id)
    if (users > 0) {
      throw new VmmError('conflict', `The hive ${name} is part of the registry of ${users} domains or snapshots.`, {
        hint: 'Take it out of their registries first, also of those in the trash.',
      })
    }
    await this.parts.storage.hives.remove(id)
    this.#hives.delete(id)
    await rm(path.join(this.parts.folders.hivesOf(keyId), `${id}.hive`), { force: true })
  }

  #get(id: string): HiveRecord {
    const hive = this.#hives.get(id)
    if (hive) return hive
    throw new VmmError('not-found', 'There is no such hive.', { hint: 'Look at the list; it may have been removed.' })
  }

  #usersOf(id: string): string[] {
    const using = this.parts.domains
      .all()
      .filter(({ record }) => record.spec.registry.hives.some(({ hiveId }) => hiveId === id))
    return using.map((domain) => domain.id)
  }

  /** Also those in the trash. */
  async #allUsersOf(id: string): Promise<number> {
    const stored = await this.parts.storage.domains.list()
    return stored.filter((each) => each.ok && each.record.spec.registry.hives.some(({ hiveId }) => hiveId === id))
      .length
  }
}
