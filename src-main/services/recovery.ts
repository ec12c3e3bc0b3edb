import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import { isMachine, type Machine, type MachineEnd } from '../../vmm/engine/machine'
import { GuestRun } from '../../vmm/machine/guest-run'
import { asVmmError } from '../../vmm/model/errors'
import type { DomainState } from '../../vmm/model/domain'
import type { DomainRecord, Storage, StoredDomain } from '../../storage'
import type { DiskLayers } from './disk-layers'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import type { KeyService } from './keys'
import type { Remover } from './remover'
import { runOptions } from './start'
import { fileExists, layerFile, layersIn, type StateFiles } from './state-files'
import type { Supervisor } from './supervisor'

const UNFINISHED: readonly DomainState[] = ['starting', 'running', 'paused', 'stopping', 'saving']

export interface RecoveryParts {
  storage: Storage
  engines: EngineCatalog
  folders: Folders
  domains: DomainService
  layers: DiskLayers
  keys: KeyService
  images: ImageService
  journal: Journal
  remover: Remover
  supervisor: Supervisor
}

/**
 * After an end that nobody announced, or that left machines running: machines that live are adopted, others of the
 * last session are told as crashed, ephemeral domains are removed, and files that nothing acknowledged are swept, so
 * that no half-written state is ever offered.
 */
export async function recover(parts: RecoveryParts): Promise<void> {
  const { domains, remover } = parts
  await Promise.all(
    domains.all().map(async (domain) => {
      await recoverDomain(domain, parts)
      if (domain.record.ephemeral) await remover.destroy(domain)
    }),
  )
  await sweep(parts)
}

async function recoverDomain(domain: Domain, parts: RecoveryParts): Promise<void> {
  const { domains, folders } = parts
  const present = folders.present(domain.id)
  if (await isStillSaved(domain, present)) {
    await domains.setState(domain, 'saved')
  } else if (UNFINISHED.includes(domain.record.state)) {
    await adoptOrBury(domain, parts)
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

/** Takes over the machine of a domain that was live, or tells what became of it. */
async function adoptOrBury(domain: Domain, parts: RecoveryParts): Promise<void> {
  const { domains, engines, images, journal, supervisor } = parts
  const paused = domain.record.state === 'paused'
  const engine = engines.find(domain.record.spec.engine)
  const outcome: Machine | MachineEnd = engine
    ? await engine.adopt(domain.id, { paused }).catch(notTakenOver)
    : { how: 'crashed', reason: 'Its engine is not part of this version.' }
  if (!isMachine(outcome)) return bury(domain, outcome, parts)
  if (!engine) return
  const run = GuestRun.found(outcome, runOptions(domain, engine, images))
  // first: a guest that a full disk has halted meanwhile says so as soon as it is watched
  if (!paused) await domains.observe(domain, { state: 'running', stateReason: '', stateVersion: '' })
  supervisor.watch(domain, run)
  if (!paused) supervisor.awaitBoot(domain, run, null)
  await journal.info(domain.id, 'domain.adopted', `${domain.name} ran on while Vivarium was not running.`)
}

function notTakenOver(error: unknown): MachineEnd {
  return { how: 'crashed', reason: asVmmError(error, 'take over its machine').message }
}

async function bury(domain: Domain, end: MachineEnd, { domains, journal }: RecoveryParts): Promise<void> {
  if (end.how === 'powered-off') {
    await domains.store(domain, { state: 'off', stateReason: '', stateVersion: '' })
    await journal.info(domain.id, 'domain.powered-off', `${domain.name} powered off while Vivarium was not running.`)
    return
  }
  const reason = `Vivarium ended while this domain was ${domain.record.state}. ${end.reason}`
  await domains.store(domain, { state: 'crashed', stateReason: reason, stateVersion: '' })
  await journal.error(domain.id, 'domain.crashed', `${domain.name}: ${reason}`)
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
    (await layersIn(present)).length === 0 &&
    (await fileExists(present.machine))
  )
}

async function sweep(parts: RecoveryParts): Promise<void> {
  const { storage, folders, domains, engines } = parts
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
  const own = await layersAmong(stored, folders, ({ volumes }) => !volumes)
  for (const engine of engines.all()) {
    await engine.sweep({ domainIds, layers: own }).catch((error: unknown) => unswept(error, engine.name, parts))
  }
  await sweepVolumes(parts, (id) => parts.keys.find(id))
}

/** Removes what is left of sealed disks, as far as their keys are there: of the others, when they are. */
export async function sweepVolumes(
  parts: Pick<RecoveryParts, 'storage' | 'folders' | 'layers' | 'journal'>,
  keyOf: (id: string) => Uint8Array | null,
): Promise<void> {
  const stored = await parts.storage.domains.list()
  const sealed = stored.flatMap((entry) => (entry.ok && entry.record.volumes ? entry.record.keyId : []))
  for (const keyId of new Set(sealed)) {
    const key = keyOf(keyId)
    if (key === null) continue
    const named = await layersAmong(stored, parts.folders, (record) => record.volumes && record.keyId === keyId)
    const sweeping = parts.layers.sweepVolumes(keyId, key, named)
    await sweeping.catch((error: unknown) => unswept(error, 'sealed disks', parts))
  }
}

async function unswept(error: unknown, whom: string, { journal }: Pick<RecoveryParts, 'journal'>): Promise<void> {
  await journal.warning(null, 'engine.sweep-failed', asVmmError(error, `tidy up after ${whom}`).message)
}

/** The layers of those domains, and of those of which that cannot be told. */
async function layersAmong(
  stored: readonly StoredDomain[],
  folders: Folders,
  among: (record: DomainRecord) => boolean,
): Promise<string[]> {
  const ids = stored.flatMap((entry) => (!entry.ok ? entry.damaged.id : among(entry.record) ? entry.record.id : []))
  return (await Promise.all(ids.map((id) => layersOf(id, folders)))).flat()
}

/** Every layer of a domain: of its present state and of its snapshots. */
async function layersOf(id: string, folders: Folders): Promise<string[]> {
  const snapshots = await readdir(folders.snapshots(id)).catch(() => [])
  const states = [folders.present(id), ...snapshots.map((snapshot) => folders.snapshot(id, snapshot))]
  const layers = states.map(async (files) => (await layersIn(files)).map((disk) => layerFile(files, disk)))
  return (await Promise.all(layers)).flat()
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
