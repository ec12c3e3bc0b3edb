import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { asVmmError, VmmError } from '../model/errors'
import { DISK_MIB } from '../model/hardware'
import type { ImageFile } from '../model/image'
import type { BlockSource } from './block-source'
import type { ForeignFormat } from './file-facts'
import { openDisk } from './open-disk'
import { openOva } from './ova'
import { convertDisk, diskInfo } from './qemu-img'
import { requireQemuProgram } from './qemu-programs'
import { IMAGE_FILE_NAMES } from './store'

/** The largest disk taken in, bytes: as large as any that a domain can have. */
export const LARGEST_DISK = DISK_MIB.most * 1024 ** 2

export interface ForeignDisk {
  source: BlockSource
  /** Size that a guest sees. */
  virtualBytes: number
}

/** The disks in the file at `path`: one, or for an appliance some. Kind `unsupported` where there is no qemu-img. */
export async function foreignDisks(path: string, format: ForeignFormat, signal?: AbortSignal): Promise<ForeignDisk[]> {
  await requireQemuProgram('qemu-img')
  const disks: ForeignDisk[] = []
  for (const source of format === 'ova' ? await openOva(path) : [await openDisk(path, format)]) {
    const { virtualBytes } = await diskInfo(source, signal)
    if (virtualBytes === 0) throw new VmmError('damaged', 'The disk has no size.')
    if (virtualBytes > LARGEST_DISK) {
      throw new VmmError('unsupported', `The disk has ${Math.ceil(virtualBytes / 1024 ** 4)} TiB, which is too much.`, {
        hint: `A disk has at most ${LARGEST_DISK / 1024 ** 4} TiB. Make it smaller where it came from.`,
        context: { virtualBytes },
      })
    }
    disks.push({ source, virtualBytes })
  }
  return disks
}

/**
 * Converts `disk` into the one file of an image in `folder`, which is made: sparse, whole or not at all. How much room
 * it takes is known only afterwards, so no free space is asked for beforehand; a full disk ends it. The file has no
 * checksum: it would have to be read once more for it, and nothing compares it with anything.
 */
export async function importDisk(
  disk: BlockSource,
  folder: string,
  signal: AbortSignal | undefined,
  onProgress: (share: number) => void,
): Promise<ImageFile> {
  const name = IMAGE_FILE_NAMES.disk
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await convertDisk({ source: disk, format: 'raw', to: join(folder, name), signal, onProgress })
    return { role: 'disk', name, bytes: (await stat(join(folder, name))).size, sha256: '' }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw asVmmError(error, 'import the disk')
  }
}
