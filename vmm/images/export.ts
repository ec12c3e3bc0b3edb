import { randomUUID } from 'node:crypto'
import { link, lstat, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute } from 'node:path'
import { asVmmError, errorCode, VmmError } from '../model/errors'
import type { DiskExportFormat } from '../model/export-format'
import { safeText } from '../model/safe-text'
import type { BlockSource } from './block-source'
import { refuseCancelled, type OnProgress } from './progress'
import { convertDisk } from './qemu-img'

export interface ExportTarget {
  /** Absolute path of the file to make. */
  to: string
  /** Whether a file that is there may be replaced. */
  replace: boolean
}

export interface DiskExport extends ExportTarget {
  source: BlockSource
  /** Size that the guest sees. */
  bytes: number
  format: DiskExportFormat
  signal?: AbortSignal | undefined
  onProgress?: OnProgress | undefined
}

/** Writes a disk as one file of its own. It appears when it is whole; what fails or is cancelled leaves nothing. */
export async function exportDisk({ source, bytes, format, signal, onProgress, ...target }: DiskExport): Promise<void> {
  await writeTarget(target, signal, async (file) => {
    const report = (share: number) =>
      onProgress?.({ step: 'Converting', done: Math.round(share * bytes), total: bytes, unit: 'bytes' })
    await convertDisk({ source, format, to: file, signal, onProgress: report })
  })
}

/**
 * Gives `write` a name beside the target, and what it wrote there the target's name. Nothing is left of it when it
 * fails, and without `replace` a file that came up meanwhile is kept.
 */
export async function writeTarget(
  target: ExportTarget,
  signal: AbortSignal | undefined,
  write: (file: string) => Promise<void>,
): Promise<void> {
  await checkTarget(target)
  const file = `${target.to}.${randomUUID().slice(0, 8)}.partial`
  try {
    await write(file)
    refuseCancelled(signal, 'The export')
    await putInPlace(file, target)
  } catch (error) {
    throw asVmmError(error, `write '${shown(target)}'`)
  } finally {
    await rm(file, { force: true })
  }
}

/** Throws when the target cannot be written, before any work is done for it. */
export async function checkTarget(target: ExportTarget): Promise<void> {
  if (!isAbsolute(target.to)) {
    throw new VmmError('invalid', 'The path of the export does not begin at the root.', {
      hint: 'Give the whole path.',
    })
  }
  const folder = await stat(dirname(target.to)).catch(() => undefined)
  if (!folder?.isDirectory()) {
    throw new VmmError('not-found', `There is no folder '${safeText(dirname(target.to), 200)}'.`, {
      hint: 'Make it first, or choose another one.',
    })
  }
  const there = await lstat(target.to).catch(() => undefined)
  if (!there) return
  if (!there.isFile()) throw new VmmError('invalid', `'${shown(target)}' is there and is not a file.`, NAME_ANOTHER)
  if (!target.replace) throw exists(target)
}

/** A hard link never replaces; where there are none, a rename must do. */
async function putInPlace(file: string, target: ExportTarget): Promise<void> {
  if (target.replace) {
    await rename(file, target.to)
    return
  }
  try {
    await link(file, target.to)
  } catch (error) {
    if (errorCode(error) === 'EEXIST') throw exists(target)
    await checkTarget(target)
    await rename(file, target.to)
  }
}

function exists(target: ExportTarget): VmmError {
  return new VmmError('conflict', `There is already a file '${shown(target)}'.`, {
    hint: 'Choose another name, or say that it may be replaced.',
  })
}

const NAME_ANOTHER = { hint: 'Choose another name.' }

function shown({ to }: ExportTarget): string {
  return safeText(basename(to), 100)
}
