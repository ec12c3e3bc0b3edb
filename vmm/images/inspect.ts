import { constants, open, stat, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { asVmmError, errorCode, VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { fileRange } from './byte-range'
import type { Identity } from './file-facts'
import { identify } from './identify'

export interface InspectedImage extends Identity {
  /** Size of the file. */
  bytes: number
}

/** Enough for the boot sectors, the header of a kernel and the first volume descriptors of an ISO 9660 image. */
const HEAD_BYTES = 48 * 1024
const TAIL_BYTES = 512

/**
 * What the file at `path` really is, by its content. Reads a small part of it, whatever its size. Throws a
 * `VmmError` that says why the file cannot be taken as an image.
 */
export async function inspectImage(path: string): Promise<InspectedImage> {
  const name = safeText(basename(path), 100)
  const file = await openRegular(path, name)
  try {
    const { size } = await file.stat()
    if (size === 0) throw refused(`'${name}' is empty.`, path)
    const range = fileRange(file, size)
    const head = await range.read(0, HEAD_BYTES)
    const tail = await range.read(Math.max(0, size - TAIL_BYTES), TAIL_BYTES)
    return { bytes: size, ...identify({ name, bytes: size, head, tail }) }
  } catch (error) {
    throw asVmmError(error, `read '${name}'`)
  } finally {
    await file.close()
  }
}

async function openRegular(path: string, name: string): Promise<FileHandle> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw refused(`'${name}' is a folder.`, path)
    if (!found.isFile()) throw refused(`'${name}' is not a regular file.`, path)
    // without O_NONBLOCK (nothing on Windows), a pipe put in its place meanwhile would block for ever
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw asVmmError(error, `open '${name}'`)
    throw new VmmError('not-found', `There is no file '${name}'.`, {
      hint: 'Check the path and choose the file again.',
      context: { path },
      cause: error,
    })
  }
}

function refused(message: string, path: string): VmmError {
  return new VmmError('invalid', message, {
    hint: 'Choose a kernel, an initrd, an ISO, a disk, an appliance (OVA) or a floppy image.',
    context: { path },
  })
}
