import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { SnapshotView, TaskView } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import { FIRST_DISK, HARDWARE_FIELDS, type Hardware } from '../../vmm/model/hardware'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import type { SnapshotRecord, Storage } from '../../storage'
import { writeConsole } from './console-tail'
import { replaceLayer, type DiskLayers } from './disk-layers'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import { exclusiveTask } from './exclusive'
import type { FileService } from './files'
import type { Folders } from './folders'
import type { Journal } from './journal'
import type { Lifecycle } from './lifecycle'
import { copyIfThere, diskBytes, layerFile, layersIn, linkOrCopy, stateFiles, type StateFiles } from './state-files'
import type { TaskService } from './tasks'

export interface SnapshotsParts {
  storage: Storage
  domains: DomainService
  engines: EngineCatalog
  files: FileService
  layers: DiskLayers
  folders: Folders
  journal: Journal
  tasks: TaskService
  lifecycle: Lifecycle
}

/** Snapshots of domains, in a tree; reverting to one never loses another. */
export class SnapshotService {
  constructor(private readonly parts: SnapshotsParts) {}

  async list(domainId: string): Promise<SnapshotView[]> {
    const domain = this.parts.domains.get(domainId)
    return await Promise.all(this.#of(domainId).map((snapshot) => this.#view(domain, snapshot)))
  }

  /** Without `memory`, of the disks alone, also while the guest runs. */
  async create(domainId: string, name: string | undefined, description: string, memory: boolean): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(domainId, 'snapshot')
    const wanted = name ?? `Snapshot ${this.#of(domainId).length + 1}`
    return await exclusiveTask(this.parts, domain, {
      kind: 'snapshot.create',
      title: `Taking a snapshot of ${domain.name}`,
      work: async ({ progress }) => {
        progress(memory ? 'Writing memory, devices and disks' : 'Writing the disks')
        const snapshot = await this.#take(domain, wanted, description, memory)
        await this.parts.journal.info(
          domainId,
          'snapshot.created',
          `The snapshot ${wanted} of ${domain.name} was taken.`,
        )
        return snapshot.id
      },
    })
  }

  /** Puts the domain back to a snapshot; one that was live before is running again afterwards. */
  async revert(domainId: string, snapshotId: string): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(domainId, 'revert')
    const snapshot = this.#get(domainId, snapshotId)
    const damage = await this.#damage(domain, snapshot)
    if (damage)
      throw new VmmError('damaged', `The snapshot ${snapshot.name} cannot be used: ${damage}`, {
        hint: 'Choose another one.',
      })
    this.parts.domains.forVerb(domainId, 'revert') // still: looking at the files took a while
    const wasLive = domain.run !== null
    return await exclusiveTask(this.parts, domain, {
      kind: 'snapshot.revert',
      title: `Reverting ${domain.name} to ${snapshot.name}`,
      work: async (context) => {
        context.progress('Putting memory, devices and disk back')
        await this.#putBack(domain, snapshot)
        await this.parts.journal.info(domainId, 'snapshot.reverted', `${domain.name} was reverted to ${snapshot.name}.`)
        if (wasLive && snapshot.live) await this.parts.lifecycle.startWithin(domain, context)
        return domainId
      },
    })
  }

  async rename(domainId: string, snapshotId: string, name: string, description: string): Promise<SnapshotView> {
    const domain = this.parts.domains.get(domainId)
    this.#get(domainId, snapshotId)
    await this.parts.storage.snapshots.rename(snapshotId, name, description)
    const renamed = { ...this.#get(domainId, snapshotId), name, description }
    this.parts.domains.snapshots.set(snapshotId, renamed)
    this.parts.domains.publish(domain)
    return await this.#view(domain, renamed)
  }

  async delete(domainId: string, snapshotId: string): Promise<TaskView> {
    const domain = this.parts.domains.get(domainId)
    const snapshot = this.#get(domainId, snapshotId)
    return await exclusiveTask(this.parts, domain, {
      kind: 'snapshot.delete',
      title: `Deleting the snapshot ${snapshot.name}`,
      work: async () => {
        // first: whatever else is stored of the domain must not name a snapshot that is gone
        await this.parts.domains.store(domain, ({ currentSnapshot }) =>
          currentSnapshot === snapshotId ? { currentSnapshot: snapshot.parentId } : {},
        )
        await this.parts.storage.snapshots.remove(snapshot)
        this.#forget(snapshot)
        await this.#removeFiles(domain, this.parts.folders.snapshot(domainId, snapshotId))
        await this.parts.journal.info(
          domainId,
          'snapshot.deleted',
          `The snapshot ${snapshot.name} of ${domain.name} was deleted.`,
        )
      },
    })
  }

  /** Writes into a folder that is not yet the snapshot's, then gives it the name, then stores the record. */
  async #take(domain: Domain, name: string, description: string, memory: boolean): Promise<SnapshotRecord> {
    const id = randomUUID()
    const final = this.parts.folders.snapshot(domain.id, id)
    const partial = this.parts.folders.snapshot(domain.id, `${id}-partial`)
    await mkdir(partial.folder, { recursive: true, mode: 0o700 })
    try {
      const live = await this.capture(domain, partial, memory)
      const engine = this.parts.engines.get(domain.record.spec.engine)
      const record: SnapshotRecord = {
        id,
        domainId: domain.id,
        parentId: domain.record.currentSnapshot,
        name,
        description,
        live,
        memoryMiB: domain.record.spec.memoryMiB,
        hardware: hardwareOf(domain),
        bytes: await this.#bytes(domain, partial),
        stateVersion: live ? await engine.stateVersion() : '',
        createdAt: Date.now(),
      }
      await rename(partial.folder, final.folder)
      await this.parts.storage.snapshots.insertAsCurrent(record)
      this.parts.domains.snapshots.set(id, record)
      await this.parts.domains.store(domain, { currentSnapshot: id })
      return record
    } catch (error) {
      for (const files of [partial, final]) await this.#removeFiles(domain, files)
      throw error
    }
  }

  /**
   * Copies the present state of `domain` into `files`, without its memory unless that is wanted; tells whether memory
   * and devices are part of it.
   */
  async capture(domain: Domain, files: StateFiles, memory: boolean): Promise<boolean> {
    const present = this.parts.folders.present(domain.id)
    const keeper = this.parts.layers.of(domain.record)
    const disks = await layersIn(present)
    await copyIfThere(present.variables, files.variables)
    if (domain.run) {
      const { volumes } = domain.record
      const copies = Object.fromEntries(disks.map((disk) => [disk, layerFile(files, disk)]))
      const layerCopies = volumes ? {} : copies
      if (memory) await writeConsole(files.console, domain.scrollback)
      const atMoment = async () => {
        if (volumes) await this.parts.files.copyDisks(domain, copies)
        await this.parts.files.snapshot(domain, files.files)
      }
      if (memory) await domain.run.machine.saveState(files.machine, { compress: true, layerCopies, atMoment })
      else await domain.run.copyDisks(layerCopies, atMoment)
      return memory
    }
    for (const disk of disks) await keeper.copyLayer(layerFile(present, disk), layerFile(files, disk))
    await this.parts.files.snapshot(domain, files.files)
    if (!memory || domain.record.state !== 'saved') return false
    await linkOrCopy(present.machine, files.machine)
    await copyIfThere(present.console, files.console)
    return true
  }

  /**
   * Brings everything beside the present state first: what cannot be brought, as on a full disk, costs the domain
   * nothing. Then in an order in which a crash at any point leaves a domain that can be started.
   */
  async #putBack(domain: Domain, snapshot: SnapshotRecord): Promise<void> {
    const { domains, folders, layers } = this.parts
    const keeper = layers.of(domain.record)
    const present = folders.present(domain.id)
    const incoming = stateFiles(path.join(present.folder, 'incoming-partial'))
    try {
      const disks = await this.#bring(domain, snapshot, incoming)
      await domain.run?.kill()
      await domain.ending
      await domains.store(domain, { state: 'off', stateReason: '', stateVersion: '' })
      await this.parts.files.restore(domain, this.parts.folders.snapshot(domain.id, snapshot.id).files)
      await rm(present.machine, { force: true })
      for (const disk of disks) await replaceLayer(keeper, layerFile(incoming, disk), layerFile(present, disk))
      for (const disk of await layersIn(present)) {
        if (!disks.includes(disk)) await keeper.removeLayer(layerFile(present, disk))
      }
      await rename(incoming.variables, present.variables).catch(() => undefined) // only with UEFI
      if (snapshot.live) {
        await rename(incoming.machine, present.machine)
        await rename(incoming.console, present.console).catch(() => undefined) // only for looks
      }
      await domains.store(domain, ({ spec }) => ({
        state: snapshot.live ? 'saved' : 'off',
        stateVersion: snapshot.stateVersion,
        currentSnapshot: snapshot.id,
        spec: { ...spec, ...snapshot.hardware, memoryMiB: snapshot.memoryMiB },
      }))
    } finally {
      await this.#removeFiles(domain, incoming)
    }
  }

  /** Copies the files of a snapshot into `incoming`; tells which disks are among them. */
  async #bring(domain: Domain, snapshot: SnapshotRecord, incoming: StateFiles): Promise<string[]> {
    const files = this.parts.folders.snapshot(domain.id, snapshot.id)
    const keeper = this.parts.layers.of(domain.record)
    await this.#removeFiles(domain, incoming)
    await mkdir(incoming.folder, { recursive: true, mode: 0o700 })
    const disks = await layersIn(files)
    for (const disk of disks) await keeper.copyLayer(layerFile(files, disk), layerFile(incoming, disk))
    await copyIfThere(files.variables, incoming.variables)
    if (snapshot.live) {
      await linkOrCopy(files.machine, incoming.machine)
      await copyIfThere(files.console, incoming.console)
    }
    return disks
  }

  /** What the disks hold may be shared: who keeps them lets go of it. */
  async #removeFiles(domain: Domain, files: StateFiles): Promise<void> {
    const keeper = this.parts.layers.of(domain.record)
    for (const disk of await layersIn(files)) await keeper.removeLayer(layerFile(files, disk))
    await rm(files.folder, { recursive: true, force: true })
  }

  async #bytes(domain: Domain, files: StateFiles): Promise<number> {
    const keeper = this.parts.layers.of(domain.record)
    const layers = (await layersIn(files)).map((disk) => keeper.layerBytes(layerFile(files, disk)))
    return (await Promise.all(layers)).reduce((sum, bytes) => sum + bytes, await diskBytes(files.machine))
  }

  #forget(removed: SnapshotRecord): void {
    const { snapshots } = this.parts.domains
    snapshots.delete(removed.id)
    for (const snapshot of [...snapshots.values()]) {
      if (snapshot.parentId === removed.id) snapshots.set(snapshot.id, { ...snapshot, parentId: removed.parentId })
    }
  }

  #of(domainId: string): SnapshotRecord[] {
    return [...this.parts.domains.snapshots.values()].filter((snapshot) => snapshot.domainId === domainId)
  }

  #get(domainId: string, snapshotId: string): SnapshotRecord {
    const snapshot = this.parts.domains.snapshots.get(snapshotId)
    if (snapshot?.domainId === domainId) return snapshot
    throw new VmmError('not-found', 'There is no such snapshot.', {
      hint: 'Look at the list; it may have been deleted.',
    })
  }

  async #view(domain: Domain, snapshot: SnapshotRecord): Promise<SnapshotView> {
    const { id, domainId, parentId, name, description, live, memoryMiB, bytes, createdAt } = snapshot
    const damage = await this.#damage(domain, snapshot)
    const current = domain.record.currentSnapshot === id
    return { id, domainId, parentId, name, description, live, memoryMiB, bytes, createdAt, current, damage }
  }

  /** Why a snapshot cannot be used, or ''. */
  async #damage(domain: Domain, snapshot: SnapshotRecord): Promise<string> {
    if (!snapshot.live) return ''
    const engine = this.parts.engines.find(domain.record.spec.engine)
    if (!engine || (await engine.stateVersion()) !== snapshot.stateVersion)
      return 'it was taken by another version of the engine.'
    const files = this.parts.folders.snapshot(snapshot.domainId, snapshot.id)
    const { diskMiB, imageKind } = this.parts.domains.view(domain)
    const hadDisk = diskMiB > 0 || imageKind === 'disk'
    if (hadDisk && !(await layersIn(files)).includes(FIRST_DISK)) return 'its disk is missing.'
    return await engine.checkState(files.machine)
  }
}

function hardwareOf({ record }: Domain): Hardware {
  return Object.fromEntries(HARDWARE_FIELDS.map((field) => [field, record.spec[field]])) as unknown as Hardware
}
