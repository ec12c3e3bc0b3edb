import path from 'node:path'
import { VmmError } from '../../vmm/model/errors'
import type { ImageRecord } from '../../vmm/model/image'
import type { Boot, DiskSpec, MachineSpec } from '../../vmm/engine/engine'
import { firmwareFiles } from '../../vmm/images/firmware'
import type { Domain } from './domain'
import type { Folders } from './folders'
import type { ImageService } from './images'

const MIB = 1024 * 1024
const SECTOR = 512

/** Puts together what an engine needs to start a domain. Throws when the image is gone or its files are damaged. */
export async function machineSpec(
  domain: Domain,
  parts: { folders: Folders; images: ImageService },
  resumeFrom: string | null,
): Promise<MachineSpec> {
  const { spec } = domain.record
  const image = parts.images.get(spec.imageId)
  const damage = await parts.images.verify(image.id)
  if (damage) {
    throw new VmmError('damaged', `The image ${image.name} cannot be used: ${damage}`, {
      hint: image.kind === 'starter' ? 'Prepare the starter image again.' : 'Import the image again.',
    })
  }
  return {
    domainId: domain.id,
    memoryMiB: spec.memoryMiB,
    boot: bootOf(image, parts.images),
    disk: diskOf(domain, image, parts),
    firmware: await firmwareFiles(parts.folders.firmware),
    resumeFrom,
  }
}

function bootOf(image: ImageRecord, images: ImageService): Boot {
  const file = (role: 'kernel' | 'cdrom' | 'floppy') => {
    const found = images.file(image, role)
    if (found === null)
      throw new VmmError('damaged', `The image ${image.name} lacks its ${role}.`, { hint: 'Import the image again.' })
    return found
  }
  switch (image.kind) {
    case 'starter':
    case 'kernel':
      return { kind: 'kernel', kernel: file('kernel'), initrd: images.file(image, 'initrd'), cmdline: image.cmdline }
    case 'cdrom':
    case 'floppy':
      return { kind: image.kind, path: file(image.kind) }
    case 'disk':
      return { kind: 'disk' }
  }
}

function diskOf(
  domain: Domain,
  image: ImageRecord,
  parts: { folders: Folders; images: ImageService },
): DiskSpec | null {
  const layer = parts.folders.present(domain.id).layer
  const base = image.files.find((file) => file.role === 'disk')
  if (base) {
    const file = path.join(parts.folders.image(image.id), base.name)
    return { base: file, bytes: base.bytes - (base.bytes % SECTOR), layer }
  }
  const { diskMiB } = domain.record.spec
  return diskMiB > 0 ? { base: null, bytes: diskMiB * MIB, layer } : null
}
