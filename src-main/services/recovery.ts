import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { DomainState } from '../../vmm/model/domain'
import type { Storage } from '../../storage'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Folders } from './folders'
import type { Journal } from './journal'
import type { Remover } from './remover'
import { fileExists, type StateFiles } from './state-files'

const UNFINISHED: readonly DomainState[] = ['starting', 'running', 'paused', 'stopping', 'saving']

export interface RecoveryParts {
  storage: Storage
  folders: Folders
  domains: DomainService
  journal: Journal
  remover: Remover
}

/**
 * After an end that nobody announced: machines of the last session are told as crashed, ephemeral domains are
 * removed, and files that nothing acknowledged are swept, so that no half-written state is ever offered.
 */
export async function recover(parts: RecoveryParts): Promise<void> {
  for (const domain of parts.domains.all()) {
    if (domain.record.ephemeral) await parts.remover.destroy(domain)
    else await recoverDomain(domain, parts)
  }
  await sweep(parts)
}

async function recoverDomain(domain: Domain, { domains, folders, journal }: RecoveryParts): Promise<void> {
  const { state } = domain.record
  const present = folders.present(domain.id)
  if (await isStillSaved(domain, present)) {
    await domains.setState(domain, 'saved')
  } else if (UNFINISHED.includes(state)) {
    const reason = `Vivarium ended unexpectedly while this domain was ${state}.`
    await domains.store(domain, { state: 'crashed', stateReason: reason, stateVersion: '' })
    await journal.error(domain.id, 'domain.crashed', `${domain.name}: ${reason}`)
  }
  if (domain.record.state !== 'saved') {
    await rm(present.machine, { force: true })
  } else if (!(await fileExists(present.machine))) {
    await domains.store(domain, {
      state: 'crashed',
      stateReason: 'The saved state is missing from the data folder.',
      stateVersion: '',
    })
  }
}

/**
 * A domain that was being started from a saved state has it still. With a disk of its own it may have written to that
 * already, and a memory that is older than its disk would ruin it.
 */
async function isStillSaved(domain: Domain, present: StateFiles): Promise<boolean> {
  const { state, stateVersion } = domain.record
  return (
    state === 'starting' &&
    stateVersion !== '' &&
    !(await fileExists(present.layer)) &&
    (await fileExists(present.machine))
  )
}

async function sweep({ storage, folders, domains }: RecoveryParts): Promise<void> {
  const stored = await storage.domains.list()
  const domainIds = new Set(stored.map((entry) => (entry.ok ? entry.record.id : entry.damaged.id)))
  await keepOnly(folders.domains, domainIds)
  await keepOnly(folders.images, new Set(await storage.images.ids()))
  await keepOnly(folders.uploads, new Set())
  for (const id of domainIds) {
    await removePartial(folders.domain(id))
    await keepOnly(folders.snapshots(id), new Set(domains.snapshots.keys()))
  }
  for (const id of await storage.images.ids()) await removePartial(folders.bootSnapshots(id))
}

/** Removes what is in `folder` and not named in `names`. */
async function keepOnly(folder: string, names: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!names.has(name)) await rm(path.join(folder, name), { recursive: true, force: true })
  }
}

async function removePartial(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.endsWith('partial')) await rm(path.join(folder, name), { recursive: true, force: true })
  }
}
