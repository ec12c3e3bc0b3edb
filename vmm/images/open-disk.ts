import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { diskSource, fileSource, rawSource, type BlockSource, type DiskFormat } from './block-source'
import { besideOf, differencing, withDiskFile, type DiskFile } from './disk-file'
import { checkVhd, checkVhdx } from './microsoft-disks'
import { readQcow2 } from './qcow2'
import { checkVmdk } from './vmdk'

export type ForeignDiskFormat = Exclude<DiskFormat, 'raw'>

/** More levels than anybody keeps on purpose. */
const CHAIN_LIMIT = 8

/** VirtualBox: VDI core header, image type; numbers are little-endian. */
const VDI_TYPE_AT = 76
const VDI_WHOLE = [1, 2]

/**
 * The disk in the file at `path`, with everything that it lies upon, for QEMU. Throws when it is encrypted, when it
 * holds only a part of a disk, or when it names files that it has no right to.
 */
export async function openDisk(path: string, format: ForeignDiskFormat): Promise<BlockSource> {
  if (format === 'qcow2') return await openChain(path, [])
  return await withDiskFile(path, dirname(path), (file) => openAlone(file, format))
}

/** The same for a disk that may have no other file, such as one inside an archive. */
export async function openAlone(file: DiskFile, format: ForeignDiskFormat): Promise<BlockSource> {
  if (format === 'qcow2') {
    const { backing } = await readQcow2(file)
    if (backing) await besideOf(file, backing.name)
  } else {
    await CHECKS[format](file)
  }
  return diskSource(format, file.source)
}

const CHECKS: Record<Exclude<ForeignDiskFormat, 'qcow2'>, (file: DiskFile) => Promise<void>> = {
  vmdk: checkVmdk,
  vdi: checkVdi,
  vhdx: checkVhdx,
  vpc: checkVhd,
}

/** `above` holds the device and inode of each file that lies upon this one. */
async function openChain(path: string, above: readonly string[]): Promise<BlockSource> {
  const { dev, ino } = await stat(path, { bigint: true })
  const self = `${dev}:${ino}`
  return await withDiskFile(path, dirname(path), async (file) => {
    if (above.includes(self)) throw badChain(file, 'lies upon itself')
    if (above.length >= CHAIN_LIMIT) throw badChain(file, `is the end of a chain of more than ${CHAIN_LIMIT} disks`)
    const { backing } = await readQcow2(file)
    if (!backing) return diskSource('qcow2', file.source)
    const below = await besideOf(file, backing.name)
    if (backing.format === 'raw') return diskSource('qcow2', file.source, rawSource(fileSource(below)))
    if (backing.format === 'qcow2') return diskSource('qcow2', file.source, await openChain(below, [...above, self]))
    throw badChain(file, `lies upon a disk of the format '${safeText(backing.format, 20)}'`)
  })
}

async function checkVdi(file: DiskFile): Promise<void> {
  const type = await file.range.read(VDI_TYPE_AT, 4)
  if (type.length === 4 && !VDI_WHOLE.includes(type.readUInt32LE(0))) {
    throw differencing(file, 'a snapshot of VirtualBox', 'VirtualBox')
  }
}

function badChain(file: DiskFile, what: string): VmmError {
  return new VmmError('unsupported', `'${file.name}' ${what}.`, {
    hint: 'Flatten it into one disk first: qemu-img convert -O qcow2 FROM TO.',
  })
}
