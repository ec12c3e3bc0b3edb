import type { CheckedArgs, DiskView, TaskView } from '../contract'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import { VmmError } from '../../vmm/model/errors'
import { refuseUnsupported } from '../../vmm/model/capabilities'
import { FIRST_DISK, FURTHER_DISKS, type FurtherDisk } from '../../vmm/model/hardware'
import type { DiskLayers } from './disk-layers'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import { exclusiveTask } from './exclusive'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import { cdFile, diskOf } from './machine-spec'
import { layerFile } from './state-files'
import type { TaskService } from './tasks'

const MIB = 1024 * 1024

export interface DisksParts {
  domains: DomainService
  engines: EngineCatalog
  folders: Folders
  images: ImageService
  layers: DiskLayers
  journal: Journal
  tasks: TaskService
}

/** The disks and CD drives of domains. */
export class DiskService {
  constructor(private readonly parts: DisksParts) {}

  async list(id: string): Promise<DiskView[]> {
    const domain = this.parts.domains.get(id)
    const first = await this.#view(domain, FIRST_DISK)
    const further = await Promise.all(domain.record.spec.disks.map((disk) => this.#view(domain, disk.id)))
    return [first, ...further].filter((view) => view !== null)
  }

  async add({ id, kind, mib, imageId }: CheckedArgs<'disks.add'>): Promise<Domain> {
    const domain = this.#atRest(id)
    if (imageId !== '') this.parts.images.requireKind(imageId, kind)
    if (kind === 'disk' && mib === 0 && imageId === '') {
      throw new VmmError('invalid', 'An empty disk needs a size.', { hint: 'Give its size in MiB.' })
    }
    const { disks } = domain.record.spec
    const free = Array.from({ length: FURTHER_DISKS }, (_, index) => `disk${index + 1}`).find(
      (candidate) => !disks.some((disk) => disk.id === candidate),
    )
    if (!free) throw new VmmError('unsupported', `A domain has at most ${FURTHER_DISKS} further disks.`)
    return await domain.alone(async () => {
      await this.#store(domain, [...disks, { id: free, kind, mib: kind === 'disk' ? mib : 0, imageId, attached: true }])
      await this.#tell(domain, 'disk.added', `${free} was added to ${domain.name}.`)
      return domain
    })
  }

  /** A CD is changed under the running guest, as by hand; attaching and detaching wait until it is off. */
  async update({ id, disk: diskId, attached, imageId }: CheckedArgs<'disks.update'>): Promise<Domain> {
    const { domain, disk } = this.#further(id, diskId)
    if (attached !== undefined && attached !== disk.attached) this.#atRest(id)
    if (imageId !== undefined) {
      if (disk.kind !== 'cdrom') {
        throw new VmmError('invalid', 'Only what is in a CD drive can be changed.', { hint: 'Add another disk.' })
      }
      if (imageId !== '') this.parts.images.requireKind(imageId, 'cdrom')
      if (domain.record.state === 'saved') {
        throw new VmmError('state', 'The CD of a saved machine cannot be changed.', {
          hint: 'Resume it, or discard its state.',
        })
      }
    }
    return await domain.alone(async () => {
      if (imageId !== undefined && disk.attached) {
        await domain.run?.machine.changeCd(diskId, imageId === '' ? null : cdFile(imageId, this.parts.images))
      }
      const after = { ...disk, attached: attached ?? disk.attached, imageId: imageId ?? disk.imageId }
      await this.#store(domain, replaced(domain, after))
      await this.#tell(domain, 'disk.changed', `${diskId} of ${domain.name} was changed.`)
      return domain
    })
  }

  async resize({ id, disk: diskId, mib }: CheckedArgs<'disks.resize'>): Promise<Domain> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const disk = diskOf(domain, diskId, this.parts)
    if (!disk) throw noDisk()
    const { volumes } = domain.record
    if (!volumes && !this.parts.engines.get(domain.record.spec.engine).capabilities.growDisk) {
      throw new VmmError('unsupported', 'This engine cannot grow a disk.', { hint: 'Add another disk.' })
    }
    if (mib * MIB < disk.bytes) {
      throw new VmmError('invalid', `The disk has ${Math.ceil(disk.bytes / MIB)} MiB already, and can only grow.`, {
        hint: 'Give a larger size; to make a disk smaller, copy its content to a new one in the guest.',
      })
    }
    if (volumes && domain.run !== null) {
      throw new VmmError('state', 'A sealed disk cannot be made larger while the guest uses it.', {
        hint: 'Shut the domain down first.',
      })
    }
    if (domain.record.state === 'saved') {
      throw new VmmError('state', 'The disk of a saved machine cannot grow.', {
        hint: 'Resume it, or discard its state.',
      })
    }
    return await domain.alone(async () => {
      await domain.run?.machine.resizeDisk(diskId, mib * MIB)
      await this.parts.domains.store(domain, ({ spec }) => ({
        spec:
          diskId === FIRST_DISK
            ? { ...spec, diskMiB: mib }
            : { ...spec, disks: spec.disks.map((entry) => (entry.id === diskId ? { ...entry, mib } : entry)) },
      }))
      await this.#tell(domain, 'disk.resized', `${diskId} of ${domain.name} was grown to ${mib} MiB.`)
      return domain
    })
  }

  /** The record first: content that nothing names is swept at the next start. */
  async remove({ id, disk: diskId }: CheckedArgs<'disks.remove'>): Promise<Domain> {
    const { domain, disk } = this.#further(id, diskId)
    this.#atRest(id)
    return await domain.alone(async () => {
      await this.#store(
        domain,
        domain.record.spec.disks.filter((entry) => entry !== disk),
      )
      await this.parts.layers.of(domain.record).removeLayer(layerFile(this.parts.folders.present(id), diskId))
      await this.#tell(domain, 'disk.removed', `${diskId} of ${domain.name} was removed.`)
      return domain
    })
  }

  /** Looks at a disk, and mends a copy of it where it is damaged. */
  async repair({ id, disk: diskId }: CheckedArgs<'disks.repair'>): Promise<TaskView> {
    const domain = this.#atRest(id)
    const disk = diskOf(domain, diskId, this.parts)
    if (!disk) throw noDisk()
    const keeper = this.parts.layers.of(domain.record)
    return await exclusiveTask(this.parts, domain, {
      kind: 'disk.repair',
      title: `Repairing ${diskId} of ${domain.name}`,
      cancellable: true,
      work: async ({ signal, progress }) => {
        progress('Looking at the disk')
        const { damage, repairable } = await keeper.checkDisk(disk)
        if (!damage) return diskId
        if (!repairable) throw new VmmError('damaged', damage, { hint: 'Revert to a snapshot.' })
        await keeper.repairDisk(disk, {
          signal,
          onProgress: (done, total) => progress('Mending a copy', done, total, 'bytes'),
        })
        await this.#tell(domain, 'disk.repaired', `${diskId} of ${domain.name} was repaired. Before: ${damage}`)
        return diskId
      },
    })
  }

  /** Null for a first disk that there is not. */
  async #view(domain: Domain, id: string): Promise<DiskView | null> {
    const { images, layers, folders } = this.parts
    const { spec } = domain.record
    const further = spec.disks.find((disk) => disk.id === id)
    const image = images.find(further ? further.imageId : spec.imageId)
    const shared = { id, imageId: image?.id ?? '', imageName: image?.name ?? '', first: id === FIRST_DISK }
    const attached = further?.attached ?? true
    if (further?.kind === 'cdrom') {
      const bytes = image?.files[0]?.bytes ?? 0
      return { ...shared, kind: 'cdrom', attached, bytes, usedBytes: 0, sealed: false }
    }
    const disk = diskOf(domain, id, this.parts)
    if (!disk) return null
    const usedBytes = await layers.of(domain.record).layerBytes(layerFile(folders.present(domain.id), id))
    const fromImage = disk.base === null ? { ...shared, imageId: '', imageName: '' } : shared
    return { ...fromImage, kind: 'disk', attached, bytes: disk.bytes, usedBytes, sealed: domain.record.volumes }
  }

  #atRest(id: string): Domain {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const { state } = domain.record
    if (state === 'off' || state === 'crashed') return domain
    throw new VmmError('state', 'Disks can be changed only while the domain is off.', {
      hint: state === 'saved' ? 'Discard the saved state first.' : 'Shut it down first.',
    })
  }

  #further(id: string, diskId: string): { domain: Domain; disk: FurtherDisk } {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const disk = domain.record.spec.disks.find((entry) => entry.id === diskId)
    if (disk) return { domain, disk }
    if (diskId !== FIRST_DISK) throw noDisk()
    throw new VmmError('invalid', 'The first disk belongs to the domain, and goes only with it.', {
      hint: 'Add and remove further disks.',
    })
  }

  async #store(domain: Domain, disks: FurtherDisk[]): Promise<void> {
    refuseUnsupported({ ...domain.record.spec, disks }, this.parts.engines.get(domain.record.spec.engine))
    await this.parts.domains.store(domain, ({ spec }) => ({ spec: { ...spec, disks } }))
    await this.parts.images.publish()
  }

  #tell(domain: Domain, event: string, message: string): Promise<void> {
    return this.parts.journal.info(domain.id, event, message)
  }
}

function replaced(domain: Domain, after: FurtherDisk): FurtherDisk[] {
  return domain.record.spec.disks.map((entry) => (entry.id === after.id ? after : entry))
}

function noDisk(): VmmError {
  return new VmmError('not-found', 'There is no such disk.', { hint: 'Look at the list; it may have been removed.' })
}
