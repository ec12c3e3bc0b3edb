import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm, rmdir, stat, type FileHandle } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { asVmmError, VmmError } from '../model/errors'
import type { ImageFile, ImageRole } from '../model/image'
import { safeText } from '../model/safe-text'
import { refuseCancelled, type OnProgress } from './progress'
import { syncFolder } from './sync-folder'

/** The name of each role's file in an image's folder. */
export const IMAGE_FILE_NAMES: Readonly<Record<ImageRole, string>> = {
  kernel: 'kernel',
  initrd: 'initrd',
  cdrom: 'cdrom.iso',
  disk: 'disk.img',
  floppy: 'floppy.img',
}

export interface ImageSource {
  role: ImageRole
  /** Absolute path of the file to copy. */
  path: string
}

export interface ImportOptions {
  sources: ImageSource[]
  /** Absolute path of the image's own folder; made when missing. */
  folder: string
  signal?: AbortSignal | undefined
  onProgress?: OnProgress | undefined
}

const CHUNK_BYTES = 1024 * 1024
const ZEROS = Buffer.alloc(CHUNK_BYTES)

/**
 * Copies `sources` into `folder` under the names of their roles. All of them appear at the end, or none: an import
 * that fails or is cancelled leaves no file. Runs of zeros become holes.
 */
export async function importImage({ sources, folder, signal, onProgress }: ImportOptions): Promise<ImageFile[]> {
  if (new Set(sources.map(({ role }) => role)).size !== sources.length) {
    throw new VmmError('invalid', 'An image has at most one file of each kind.', {
      hint: 'Choose one file of each kind.',
    })
  }
  const finished: string[] = []
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const sizes = await Promise.all(sources.map(({ path }) => stat(path).then(({ size }) => size)))
    const total = sizes.reduce((sum, size) => sum + size, 0)
    let before = 0
    const files: ImageFile[] = []
    for (const source of sources) {
      const step = `Copying ${safeText(basename(source.path), 100)}`
      const report = (done: number) => onProgress?.({ step, done: before + done, total, unit: 'bytes' })
      const file = await copyFile(source, folder, signal, report)
      files.push(file)
      before += file.bytes
    }
    for (const { name } of files) {
      refuseCancelled(signal, 'The import')
      await rename(partial(folder, name), join(folder, name))
      finished.push(name)
    }
    await syncFolder(folder)
    return files
  } catch (error) {
    await removeAll(folder, sources, finished)
    throw asVmmError(error, 'import the image')
  }
}

/** What is wrong with the files of an image in `folder`, as a sentence, or ''. Looks at presence and size only. */
export async function verifyImage(folder: string, files: readonly ImageFile[]): Promise<string> {
  for (const { name, bytes } of files) {
    const found = await stat(join(folder, name)).catch(() => undefined)
    if (!found?.isFile()) return `The file '${name}' of this image is missing.`
    if (found.size !== bytes) return `The file '${name}' of this image has ${found.size} bytes instead of ${bytes}.`
  }
  return ''
}

async function copyFile(
  source: ImageSource,
  folder: string,
  signal: AbortSignal | undefined,
  report: (done: number) => void,
): Promise<ImageFile> {
  const name = IMAGE_FILE_NAMES[source.role]
  const from = await open(source.path, 'r')
  try {
    const before = await from.stat()
    if (!before.isFile())
      throw new VmmError('invalid', `'${safeText(basename(source.path), 100)}' is not a regular file.`)
    const to = await open(partial(folder, name), 'w', 0o600)
    try {
      const { bytes, sha256 } = await copyBytes(from, to, before.size, signal, report)
      const after = await from.stat()
      if (bytes !== before.size || after.size !== before.size || after.mtimeMs !== before.mtimeMs) throw changed(source)
      await to.truncate(bytes) // a hole at the end has not been written
      await to.sync()
      return { role: source.role, name, bytes, sha256 }
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}

/** Copies to the end of `from`, but never more than one chunk beyond `expected` bytes. */
async function copyBytes(
  from: FileHandle,
  to: FileHandle,
  expected: number,
  signal: AbortSignal | undefined,
  report: (done: number) => void,
) {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let bytes = 0
  while (bytes <= expected) {
    refuseCancelled(signal, 'The import')
    const { bytesRead } = await from.read(chunk, 0, CHUNK_BYTES, bytes)
    if (bytesRead === 0) break
    const part = chunk.subarray(0, bytesRead)
    hash.update(part)
    if (!part.equals(ZEROS.subarray(0, bytesRead))) await writeFully(to, part, bytes)
    bytes += bytesRead
    report(Math.min(bytes, expected))
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function writeFully(to: FileHandle, part: Buffer, position: number): Promise<void> {
  for (let done = 0; done < part.length;) {
    const { bytesWritten } = await to.write(part, done, part.length - done, position + done)
    done += bytesWritten
  }
}

async function removeAll(folder: string, sources: readonly ImageSource[], finished: readonly string[]): Promise<void> {
  const parts = sources.map(({ role }) => partial(folder, IMAGE_FILE_NAMES[role]))
  for (const path of [...parts, ...finished.map((name) => join(folder, name))]) await rm(path, { force: true })
  await rmdir(folder).catch(() => undefined) // stays when it holds something else
}

function partial(folder: string, name: string): string {
  return join(folder, `${name}.partial`)
}

function changed({ path }: ImageSource): VmmError {
  return new VmmError('conflict', `'${safeText(basename(path), 100)}' changed while it was being copied.`, {
    hint: 'Wait until nothing writes to the file any more, then import it again.',
    context: { path },
  })
}
