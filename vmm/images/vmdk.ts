import { VmmError } from '../model/errors'
import { besideOf, damagedDisk, differencing, withDiskFile, type DiskFile } from './disk-file'

/** VMware's Virtual Disk Format 5.0. All numbers are little-endian; a sector has 512 bytes. */
const SECTOR = 512
const SPARSE_MAGIC = 'KDMV'
const SPARSE_HEADER_BYTES = 79
const DESCRIPTOR_MAGIC = '# Disk DescriptorFile'
const DESCRIPTOR_LIMIT = 64 * 1024
const EXTENT_LIMIT = 1000
const NO_PARENT = /^(ffffffff|0)$/i

interface Extent {
  type: string
  name: string
}

interface Descriptor {
  values: Map<string, string>
  extents: Extent[]
}

/**
 * Refuses a VMware disk that QEMU could not read, or that would make it open files outside the disk's own folder. QEMU
 * opens whatever a descriptor names, so a descriptor is taken only when every line of it is understood here.
 */
export async function checkVmdk(file: DiskFile): Promise<void> {
  const head = await file.range.read(0, SPARSE_HEADER_BYTES)
  if (head.toString('latin1', 0, 4) === SPARSE_MAGIC) await checkSparse(file)
  else if (head.toString('latin1', 0, DESCRIPTOR_MAGIC.length) === DESCRIPTOR_MAGIC) await checkDescriptorFile(file)
  else throw differencing(file, 'a part of a snapshot of an ESX host', 'VMware')
}

/** A disk, or one extent of it, with a header of its own. */
async function checkSparse(file: DiskFile): Promise<void> {
  const head = await file.range.read(0, SPARSE_HEADER_BYTES)
  if (head.length < SPARSE_HEADER_BYTES || head.toString('latin1', 0, 4) !== SPARSE_MAGIC) {
    throw damagedDisk(file, 'it has no VMDK header')
  }
  // without a capacity, QEMU would take the extents that the descriptor inside names
  if (head.readBigUInt64LE(12) === 0n) throw damagedDisk(file, 'its header states no size')
  const at = Number(head.readBigUInt64LE(28)) * SECTOR
  const bytes = Number(head.readBigUInt64LE(36)) * SECTOR
  if (at === 0 || bytes === 0) return
  if (at + bytes > file.range.bytes || bytes > DESCRIPTOR_LIMIT) throw damagedDisk(file, 'its descriptor is cut off')
  refuseParent(file, parseDescriptor(file, await file.range.read(at, bytes)))
}

async function checkDescriptorFile(file: DiskFile): Promise<void> {
  if (file.range.bytes > DESCRIPTOR_LIMIT) throw damagedDisk(file, 'its description is too long')
  const descriptor = parseDescriptor(file, await file.range.read(0, DESCRIPTOR_LIMIT))
  refuseParent(file, descriptor)
  const { extents } = descriptor
  if (extents.length === 0 || extents.length > EXTENT_LIMIT) throw damagedDisk(file, 'it names no extents, or too many')
  for (const { type, name } of extents) {
    if (type === 'ZERO') continue
    if (!/\.vmdk$/i.test(name)) throw damagedDisk(file, 'it names an extent that is not a .vmdk file')
    const path = await besideOf(file, name)
    if (type === 'SPARSE') await withDiskFile(path, file.folder ?? '', checkSparse)
  }
}

function refuseParent(file: DiskFile, { values }: Descriptor): void {
  const parent = values.get('parentcid') ?? 'ffffffff'
  if (!NO_PARENT.test(parent) || values.has('parentfilenamehint')) {
    throw differencing(file, 'a snapshot or a linked clone', 'VMware')
  }
  if ([...values.keys()].some((key) => key.startsWith('encryption'))) {
    throw new VmmError('unsupported', `'${file.name}' is encrypted.`, {
      hint: 'Remove the encryption in VMware first.',
    })
  }
}

/** Takes comments, 'key = value' and extents; each on a line of its own. */
function parseDescriptor(file: DiskFile, bytes: Buffer): Descriptor {
  const end = bytes.indexOf(0)
  const lines = bytes.toString('utf8', 0, end === -1 ? bytes.length : end).split('\n')
  const values = new Map<string, string>()
  const extents: Extent[] = []
  for (const line of lines.map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue
    const pair = /^([a-z][\w.:-]*)\s*=\s*"?([^"]*)"?$/i.exec(line)
    if (pair) {
      values.set((pair[1] ?? '').toLowerCase(), pair[2] ?? '')
      continue
    }
    const extent = /^RW\s+\d{1,15}\s+(?:(ZERO)|(FLAT|VMFS|SPARSE)\s+"([^"]+)"(?:\s+\d{1,15})?)$/.exec(line)
    if (!extent) throw damagedDisk(file, 'a line of its description is not understood')
    extents.push({ type: extent[1] ?? extent[2] ?? '', name: extent[3] ?? '' })
  }
  return { values, extents }
}
