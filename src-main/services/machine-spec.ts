import path from 'node:path'
import { VmmError } from '../../vmm/model/errors'
import { FIRST_DISK } from '../../vmm/model/hardware'
import type { ImageRecord } from '../../vmm/model/image'
import type { Boot, CdSpec, DiskSpec, MachineSpec } from '../../vmm/engine/machine-spec'
import { firmwareFiles } from '../../vmm/images/firmware'
import { disksAddress, runFolder } from '../../vmm/engine/run-folder'
import { macsOf } from '../../vmm/machine/identity'
import type { Domain } from './domain'
import type { Folders } from './folders'
import type { ImageService } from './images'
import { layerFile, stateFiles } from './state-files'

const MIB = 1024 * 1024
const SECTOR = 512

interface SpecParts {
  folders: Folders
  images: ImageService
}

/** Puts together what an engine needs to start a domain. Throws when an image is gone or its files are damaged. */
export async function machineSpec(domain: Domain, parts: SpecParts, resumeFrom: string | null): Promise<MachineSpec> {
  const { spec, mac } = domain.record
  const image = await usableImage(spec.imageId, parts.images)
  for (const { imageId } of attached(domain)) if (imageId !== '') await usableImage(imageId, parts.images)
  const { cpus, memoryMiB, firmware, machineType, accelerator, diskBus, bootOrder, diskLimits } = spec
  const macs = macsOf(mac, spec.nics.length)
  return {
    domainId: domain.id,
    name: spec.name,
    memoryMiB,
    cpus,
    boot: bootOf(image, parts.images),
    disks: await servedDisks(domain, parts),
    cds: attached(domain)
      .filter((disk) => disk.kind === 'cdrom')
      .map(({ id, imageId }): CdSpec => ({ id, path: imageId === '' ? null : cdFile(imageId, parts.images) })),
    nics: spec.nics.map(({ model }, index) => ({ model, mac: macs[index] ?? mac })),
    filesCard: spec.filesCard,
    firmware,
    bios: await firmwareFiles(parts.folders.firmware),
    uefiVariables: parts.folders.present(domain.id).variables,
    machineType,
    accelerator,
    diskBus,
    bootOrder,
    diskLimits,
    agent: image.kind === 'starter' ? 'serial' : 'virtio',
    resumeFrom,
  }
}

/** The disks that the guest sees, and where those are served that its engine does not keep. */
export async function servedDisks(domain: Domain, parts: SpecParts): Promise<DiskSpec[]> {
  const { volumes } = domain.record
  const served = volumes ? disksAddress(await runFolder(parts.folders.run, domain.id)) : null
  return disksOf(domain, parts).map((disk) => ({ ...disk, served }))
}

/** The disks that the guest sees, the first one first. */
export function disksOf(domain: Domain, parts: SpecParts): DiskSpec[] {
  const further = attached(domain).filter((disk) => disk.kind === 'disk')
  return [FIRST_DISK, ...further.map((disk) => disk.id)].flatMap((id) => diskOf(domain, id, parts) ?? [])
}

/** One disk of a domain, attached or not, with its layer in `files`; null when there is none. Throws for a CD drive. */
export function diskOf(domain: Domain, id: string, { folders, images }: SpecParts): DiskSpec | null {
  const { spec } = domain.record
  const further = spec.disks.find((disk) => disk.id === id && disk.kind === 'disk')
  if (id !== FIRST_DISK && !further) return null
  const mib = further ? further.mib : spec.diskMiB
  const image = images.find(further ? further.imageId : spec.imageId)
  const file = image?.files.find(({ role }) => role === 'disk')
  const layer = layerFile(stateFiles(folders.domain(domain.id)), id)
  const served = null
  if (!image || !file) return mib > 0 ? { id, base: null, baseBytes: 0, bytes: mib * MIB, layer, served } : null
  const bytes = Math.max(file.bytes - (file.bytes % SECTOR), mib * MIB)
  return { id, base: path.join(folders.image(image.id), file.name), baseBytes: file.bytes, bytes, layer, served }
}

/** The file of a CD image. */
export function cdFile(imageId: string, images: ImageService): string {
  return requireFile(images.get(imageId), 'cdrom', images)
}

function attached(domain: Domain) {
  return domain.record.spec.disks.filter((disk) => disk.attached)
}

/** The image, its files looked at once more; throws when it is gone or damaged. */
export async function usableImage(id: string, images: ImageService): Promise<ImageRecord> {
  const image = images.get(id)
  const damage = await images.verify(id)
  if (!damage) return image
  throw new VmmError('damaged', `The image ${image.name} cannot be used: ${damage}`, {
    hint: image.kind === 'starter' ? 'Prepare the starter image again.' : 'Import the image again.',
  })
}

function bootOf(image: ImageRecord, images: ImageService): Boot {
  switch (image.kind) {
    case 'starter':
    case 'kernel':
      return {
        kind: 'kernel',
        kernel: requireFile(image, 'kernel', images),
        initrd: images.file(image, 'initrd'),
        cmdline: image.cmdline,
      }
    case 'cdrom':
    case 'floppy':
      return { kind: image.kind, path: requireFile(image, image.kind, images) }
    case 'disk':
      return { kind: 'disk' }
  }
}

function requireFile(image: ImageRecord, role: 'kernel' | 'cdrom' | 'floppy', images: ImageService): string {
  const found = images.file(image, role)
  if (found !== null) return found
  throw new VmmError('damaged', `The image ${image.name} lacks its ${role}.`, { hint: 'Import the image again.' })
}
