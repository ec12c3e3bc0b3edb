import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type { TaskView, TrashedView } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import type { Storage, StoredDomain } from '../../storage'
import { Domain } from './domain'
import type { DomainService } from './domains'
import type { Folders } from './folders'
import type { Journal } from './journal'
import type { Remover } from './remover'
import type { TaskService } from './tasks'

export interface TrashParts {
  storage: Storage
  domains: DomainService
  folders: Folders
  journal: Journal
  remover: Remover
  tasks: TaskService
}

/** Deleted domains, with all they have, until the trash is emptied. */
export class TrashService {
  #turn: Promise<unknown> = Promise.resolve()

  constructor(private readonly parts: TrashParts) {}

  /** Moves a domain to the trash. */
  async add(id: string): Promise<void> {
    const { domains, storage, journal } = this.parts
    if (domains.isDamaged(id)) {
      await storage.domains.setTrashed(id, Date.now())
      domains.unlist(id)
      return
    }
    const domain = domains.forVerb(id, 'delete')
    domains.unlist(id) // before anything is awaited: nobody may start it now
    try {
      await domains.store(domain, { trashedAt: Date.now() })
    } catch (error) {
      domains.adopt(domain)
      throw error
    }
    await journal.info(id, 'domain.trashed', `${domain.name} was moved to the trash.`)
  }

  async list(): Promise<TrashedView[]> {
    const trashed = await this.#stored()
    return await Promise.all(
      trashed.map(async (stored) => {
        const { id, trashedAt } = stored.ok ? stored.record : stored.damaged
        const name = stored.ok ? stored.record.spec.name : stored.damaged.name || '(damaged)'
        return { id, name, trashedAt: trashedAt ?? 0, bytes: await folderBytes(this.parts.folders.domain(id)) }
      }),
    )
  }

  /** Puts a domain back on the list, under another name if its own is taken by now. */
  restore(id: string): Promise<Domain> {
    return this.#inTurn(() => this.#restore(id))
  }

  async empty(ids: string[] | undefined): Promise<TaskView> {
    const trashed = (await this.#stored()).map(idOf)
    const chosen = ids === undefined ? trashed : trashed.filter((id) => ids.includes(id))
    return await this.parts.tasks.start({
      kind: 'trash.empty',
      title: 'Emptying the trash',
      work: async ({ progress }) => {
        for (const [index, id] of chosen.entries()) {
          progress('Deleting', index, chosen.length, 'steps')
          await this.#inTurn(() => this.#delete(id))
        }
      },
    })
  }

  async #restore(id: string): Promise<Domain> {
    const { domains, journal } = this.parts
    const stored = (await this.#stored()).find((candidate) => idOf(candidate) === id)
    if (!stored)
      throw new VmmError('not-found', 'This domain is not in the trash.', {
        hint: 'It may have been restored already.',
      })
    if (!stored.ok) throw new VmmError('damaged', stored.damaged.damage, { hint: 'It can only be deleted for good.' })
    const { spec } = stored.record
    const name = domains.isTaken(spec.name) ? domains.freeName(spec.name) : spec.name
    const domain = new Domain({ ...stored.record, trashedAt: null, spec: { ...spec, name } })
    await domains.claimName(name, async () => {
      await domains.store(domain, {})
      domains.adopt(domain)
    })
    await journal.info(id, 'domain.restored', `${domain.name} was restored from the trash.`)
    return domain
  }

  async #delete(id: string): Promise<void> {
    if (!(await this.parts.storage.domains.isTrashed(id))) return
    await this.parts.remover.removeStored(id)
    await this.parts.journal.info(id, 'domain.deleted', 'A domain was deleted for good.')
  }

  /** A domain is restored or deleted, one after the other, never half of each. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #stored(): Promise<StoredDomain[]> {
    const all = await this.parts.storage.domains.list()
    return all.filter((stored) => (stored.ok ? stored.record : stored.damaged).trashedAt !== null)
  }
}

function idOf(stored: StoredDomain): string {
  return stored.ok ? stored.record.id : stored.damaged.id
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const file = path.join(folder, entry.name)
      if (entry.isDirectory()) return await folderBytes(file)
      const { blocks } = await stat(file)
      return blocks * 512
    }),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}
