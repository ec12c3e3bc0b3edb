import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import type { TaskView } from '../contract'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import type { DiskLayers } from './disk-layers'
import { Domain } from './domain'
import type { DomainService } from './domains'
import { exclusiveTask } from './exclusive'
import type { FileService } from './files'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import { diskOf } from './machine-spec'
import type { SnapshotService } from './snapshots'
import { layerFile, layersIn, type StateFiles } from './state-files'
import type { TaskContext, TaskService } from './tasks'

export interface ClonesParts {
  domains: DomainService
  engines: EngineCatalog
  files: FileService
  folders: Folders
  images: ImageService
  layers: DiskLayers
  journal: Journal
  snapshots: SnapshotService
  tasks: TaskService
}

/** Makes domains like others. */
export class CloneService {
  constructor(private readonly parts: ClonesParts) {}

  /**
   * Copies spec and disk and, where the guest has an agent to renew its identity with, memory and devices: such a
   * clone of a running or saved domain is saved, and goes on from there. It gets a MAC address of its own. A linked
   * clone shares what neither of the two changes.
   */
  async clone(id: string, name: string | undefined, linked: boolean): Promise<TaskView> {
    const source = this.parts.domains.forVerb(id, 'clone')
    const wanted = name ?? this.parts.domains.freeName(source.name)
    this.parts.domains.requireFreeName(wanted)
    return await exclusiveTask(this.parts, source, {
      kind: 'domain.clone',
      title: `Cloning ${source.name}`,
      cancellable: true,
      work: (context) => this.#copy(source, wanted, linked, context),
    })
  }

  async #copy(source: Domain, name: string, linked: boolean, context: TaskContext): Promise<string> {
    const { domains, engines, folders, images, journal, snapshots } = this.parts
    const id = randomUUID()
    const files = folders.present(id)
    await mkdir(files.folder, { recursive: true, mode: 0o700 })
    try {
      const { spec } = source.record
      context.progress('Copying')
      const captured = await snapshots.capture(source, files, true)
      if (!linked) await this.#flatten(source, files, context)
      const live = captured && (images.find(spec.imageId)?.agent ?? false)
      if (captured && !live) await rm(files.machine, { force: true })
      const clone = new Domain({
        id,
        // a port of the host leads to one guest
        spec: { ...spec, name, template: false, forwards: [] },
        mac: await domains.freeMac(),
        state: live ? 'saved' : 'off',
        stateReason: '',
        stateVersion: live ? await engines.get(spec.engine).stateVersion() : '',
        currentSnapshot: null,
        ephemeral: false,
        createdAt: Date.now(),
        trashedAt: null,
        keyId: source.record.keyId,
        volumes: source.record.volumes,
      })
      await this.parts.files.restore(clone, files.files)
      await rm(files.files, { recursive: true, force: true })
      await domains.insert(clone)
      await journal.info(id, 'domain.cloned', `${name} was cloned from ${source.name}.`)
      return id
    } catch (error) {
      const keeper = this.parts.layers.of(source.record)
      for (const disk of await layersIn(files)) await keeper.removeLayer(layerFile(files, disk))
      await rm(files.folder, { recursive: true, force: true })
      throw error
    }
  }

  /** Gives the copied disks their content for themselves, where copies share it. */
  async #flatten(source: Domain, files: StateFiles, { signal, progress }: TaskContext): Promise<void> {
    const { layers } = this.parts
    if (!layers.areShared(source.record)) return
    for (const id of await layersIn(files)) {
      const disk = diskOf(source, id, this.parts)
      if (!disk) continue
      const layer = layerFile(files, id)
      const onProgress = (done: number, total: number): void => progress(`Copying ${id}`, done, total, 'bytes')
      await layers.of(source.record).flattenLayer({ ...disk, layer }, layer, { signal, onProgress })
    }
  }
}
