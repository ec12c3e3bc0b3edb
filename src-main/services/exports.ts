import { realpath, rm } from 'node:fs/promises'
import path from 'node:path'
import type { CheckedArgs, TaskView } from '../contract'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import { checkTarget, exportDisk } from '../../vmm/images/export'
import { exportOva } from '../../vmm/images/export-ova'
import { requireQemuProgram } from '../../vmm/images/qemu-programs'
import { VmmError } from '../../vmm/model/errors'
import type { DiskLayers } from './disk-layers'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import { exclusiveTask } from './exclusive'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import { diskOf, disksOf, usableImage } from './machine-spec'
import type { TaskContext, TaskService } from './tasks'

export interface ExportsParts {
  domains: DomainService
  layers: DiskLayers
  folders: Folders
  images: ImageService
  journal: Journal
  tasks: TaskService
}

type Wanted = CheckedArgs<'domains.export'>

/** Writes domains as files that other programs take. */
export class ExportService {
  constructor(private readonly parts: ExportsParts) {}

  /** Refuses at once what cannot be: a target that is there, a domain without a disk, a host without qemu-img. */
  async export(wanted: Wanted): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(wanted.id, 'export')
    await this.#requireBases(domain)
    const disks = this.#disks(domain, wanted)
    await checkTarget({ to: wanted.path, replace: wanted.replace })
    await this.#refuseOwnFolder(wanted.path)
    await requireQemuProgram('qemu-img')
    this.parts.domains.forVerb(wanted.id, 'export') // it may have been started meanwhile
    return await exclusiveTask(this.parts, domain, {
      kind: 'domain.export',
      title: `Exporting ${domain.name}`,
      cancellable: true,
      work: async (context) => {
        await this.#export(context, domain, disks, wanted)
        const said = `${domain.name} was exported as ${wanted.format}.`
        await this.parts.journal.info(domain.id, 'domain.exported', said)
        return undefined
      },
    })
  }

  /** What lies below the disks must be there and whole, or the export would hold something else. */
  async #requireBases(domain: Domain): Promise<void> {
    const { images } = this.parts
    const { spec } = domain.record
    const further = spec.disks.filter(({ kind, imageId }) => kind === 'disk' && imageId !== '')
    for (const id of [spec.imageId, ...further.map(({ imageId }) => imageId)]) {
      if (images.get(id).kind === 'disk') await usableImage(id, images)
    }
  }

  /** A file of Vivarium's own would be replaced, or swept as one that nobody needs. */
  async #refuseOwnFolder(to: string): Promise<void> {
    const [folder, own] = await Promise.all([realpath(path.dirname(to)), realpath(this.parts.folders.root)])
    if (folder !== own && !folder.startsWith(own + path.sep)) return
    throw new VmmError('denied', 'An export cannot go into the data folder of Vivarium.', {
      hint: 'Choose another folder.',
    })
  }

  #disks(domain: Domain, { format, disk }: Wanted): DiskSpec[] {
    const one = diskOf(domain, disk, this.parts)
    const disks = format === 'ova' ? disksOf(domain, this.parts) : one ? [one] : []
    if (disks.length > 0) return disks
    throw new VmmError('unsupported', `${domain.name} has no disk that could be exported.`, {
      hint: 'Only disks are exported. Add one in the settings, or export another domain.',
    })
  }

  /** Everything in between lies in the domain's folder under names that a restart sweeps. */
  async #export({ signal, progress }: TaskContext, domain: Domain, disks: DiskSpec[], wanted: Wanted): Promise<void> {
    const { spec } = domain.record
    const keeper = this.parts.layers.of(domain.record)
    const { folder } = this.parts.folders.present(domain.id)
    const scratch = (name: string) => path.join(folder, `export-${name}.partial`)
    const target = { to: wanted.path, replace: wanted.replace, signal }
    const onProgress = (now: { step: string; done: number; total: number }) =>
      progress(now.step, now.done, now.total, 'bytes')
    try {
      const sources: { source: Record<string, unknown>; bytes: number }[] = []
      for (const disk of disks) {
        const reading = (done: number, total: number) => progress('Reading the disk', done, total, 'bytes')
        const source = await keeper.diskSource(disk, scratch(disk.id), { signal, onProgress: reading })
        sources.push({ source, bytes: disk.bytes })
      }
      if (wanted.format === 'ova') {
        const { name, cpus, memoryMiB, firmware } = spec
        const machine = { name, cpus, memoryMiB, firmware, disks: sources, scratch: scratch('ova') }
        await exportOva({ ...machine, ...target, onProgress })
      } else {
        for (const disk of sources) await exportDisk({ ...disk, ...target, format: wanted.format, onProgress })
      }
    } finally {
      for (const { id } of disks) await rm(scratch(id), { force: true })
    }
  }
}
