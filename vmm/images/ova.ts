import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { rawSource, type BlockSource } from './block-source'
import { partOf, type ByteRange } from './byte-range'
import { withDiskFile, type DiskFile } from './disk-file'
import { identifyForeign } from './identify-foreign'
import { openAlone } from './open-disk'
import { OVF_LIMIT, ovfDiskFiles } from './ovf'
import { padded, readTar, type TarFile } from './tar'

const HEAD_BYTES = 64 * 1024
const TAIL_BYTES = 512

/** The disks of the appliance at `path`, in the order of its description; QEMU reads them where they lie. */
export async function openOva(path: string): Promise<BlockSource[]> {
  return await withDiskFile(path, '', async (archive) => {
    const files = await readTar(archive.range)
    const names = ovfDiskFiles(await readDescription(archive, files))
    const disks: BlockSource[] = []
    for (const name of names) disks.push(await openInside(archive, fileNamed(archive, files, name)))
    return disks
  })
}

async function readDescription(archive: DiskFile, files: readonly TarFile[]): Promise<string> {
  const description = files.find(({ name }) => /^[^/]+\.ovf$/i.test(name))
  if (!description) {
    throw new VmmError('unsupported', `'${archive.name}' is a tar archive without the description of an appliance.`, {
      hint: 'Unpack it first and import what is inside.',
    })
  }
  if (description.bytes > OVF_LIMIT) {
    throw new VmmError('unsupported', `The description in '${archive.name}' is too long.`, {
      hint: 'Unpack the archive and import its disks one by one.',
    })
  }
  return (await archive.range.read(description.offset, description.bytes)).toString('utf8')
}

function fileNamed(archive: DiskFile, files: readonly TarFile[], name: string): TarFile {
  const found = files.find((file) => file.name === name)
  if (found) return found
  throw new VmmError(
    'damaged',
    `'${archive.name}' does not hold the disk '${safeText(name, 100)}' that it describes.`,
    {
      hint: 'Copy or download the file again, or export the appliance once more.',
    },
  )
}

async function openInside(archive: DiskFile, { name, offset, bytes }: TarFile): Promise<BlockSource> {
  const shown = safeText(name, 100)
  const range = partOf(archive.range, offset, bytes)
  const format = await formatOf(shown, range)
  const source = rawSource(archive.source, { offset, bytes: padded(bytes) })
  return await openAlone({ name: shown, range, source, folder: null }, format)
}

async function formatOf(name: string, range: ByteRange) {
  const head = await range.read(0, HEAD_BYTES)
  if (head.toString('hex', 0, 2) === '1f8b') {
    throw new VmmError('unsupported', `The disk '${name}' of the appliance is compressed with gzip.`, {
      hint: 'Unpack the archive, decompress the disk with gunzip and import that.',
    })
  }
  const tail = await range.read(Math.max(0, range.bytes - TAIL_BYTES), TAIL_BYTES)
  const format = identifyForeign({ name, bytes: range.bytes, head, tail })?.format
  if (format !== undefined && format !== 'ova') return format
  throw new VmmError('unsupported', `The disk '${name}' of the appliance has a format that is not known.`, {
    hint: 'Unpack the archive and import its disks one by one.',
  })
}
