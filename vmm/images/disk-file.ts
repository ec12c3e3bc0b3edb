import { constants, lstat, open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { VmmError } from '../model/errors'
import { hasUnsafeText, safeText } from '../model/safe-text'
import { fileSource, type BlockSource } from './block-source'
import { fileRange, type ByteRange } from './byte-range'

/** A file that holds a virtual disk, or a part of one, and where the files are that it may name. */
export interface DiskFile {
  /** For messages; safe to show. */
  name: string
  range: ByteRange
  /** The same bytes for QEMU. */
  source: BlockSource
  /** The folder of the other files of the disk; null inside an archive. */
  folder: string | null
}

/** Opens the file at `path` while `work` looks at it. */
export async function withDiskFile<T>(path: string, folder: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const { size } = await handle.stat()
    const name = safeText(basename(path), 100)
    return await work({ name, range: fileRange(handle, size), source: fileSource(path), folder })
  } finally {
    await handle.close()
  }
}

/**
 * Path of the file that `file` names as a part of itself. A name is taken only when it is plain and there is a regular
 * file of that name in the same folder: a disk from elsewhere must not reach the other files of this host.
 */
export async function besideOf(file: DiskFile, named: string): Promise<string> {
  const shown = safeText(named, 100)
  if (file.folder === null) {
    throw new VmmError('unsupported', `'${file.name}' needs the file '${shown}', which an archive cannot give it.`, {
      hint: 'Unpack the archive and import the disk from its folder.',
    })
  }
  if (!isPlainName(named)) {
    throw new VmmError('denied', `'${file.name}' names the file '${shown}' outside its own folder.`, {
      hint: 'Put all files of the disk into one folder and make it name them without a folder, or flatten it first.',
    })
  }
  const path = join(file.folder, named)
  const found = await lstat(path).catch(() => undefined)
  if (found?.isFile()) return path
  const what = found ? 'is not a regular file' : 'is not in its folder'
  throw new VmmError('not-found', `'${file.name}' needs the file '${shown}', which ${what}.`, {
    hint: 'Put all files of the disk into one folder.',
  })
}

/** No folder, no drive, no protocol of QEMU's, nothing that hides. */
function isPlainName(name: string): boolean {
  return name !== '' && name.length <= 255 && !/[/\\:]|^\.{1,2}$/.test(name) && !hasUnsafeText(name)
}

export function damagedDisk(file: DiskFile, what: string): VmmError {
  return new VmmError('damaged', `'${file.name}' is damaged: ${what}.`, {
    hint: 'Copy or download the file again and compare its checksum.',
  })
}

/** A disk that holds only what differs from another one. */
export function differencing(file: DiskFile, kind: string, tool: string): VmmError {
  return new VmmError('unsupported', `'${file.name}' is ${kind}: it holds only what differs from another disk.`, {
    hint: `Merge it with its parent in ${tool} first, or export the machine there.`,
  })
}
