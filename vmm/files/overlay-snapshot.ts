import { copyFileSync, openSync, closeSync, readSync } from 'node:fs'
import { copyFile, link, mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { errorCode, VmmError } from '../model/errors'
import { FIRST_FRAME } from '../sealed/journal-format'
import { syncFolderNow } from '../sealed/sync-folder-now'
import { BLOB_NAME, BLOBS_FOLDER } from './overlay-blobs'

export const JOURNAL_FILE = 'journal'
const WINDOW = 1024 * 1024

/** What an overlay was at one moment: its journal up to there, and the blobs that it names. */
export interface OverlayMoment {
  /** The journal, which may go on or be replaced. */
  descriptor: number
  /** What its first bytes were. */
  header: Buffer
  bytes: number
  blobs: string[]
}

/** To be called when everything is in the journal. */
export function momentOf(folder: string, bytes: number, blobs: string[]): OverlayMoment {
  const descriptor = openSync(join(folder, JOURNAL_FILE), 'r')
  const header = Buffer.alloc(Math.min(FIRST_FRAME, bytes))
  try {
    readSync(descriptor, header, 0, header.length, 0)
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  return { descriptor, header, bytes, blobs }
}

/**
 * Makes a folder that holds what the overlay was at that moment; no content is copied where the file system has hard
 * links. Nothing is there, or all of it. Throws kind `conflict` when the folder exists.
 */
export async function keepMoment(folder: string, moment: OverlayMoment, toFolder: string): Promise<void> {
  try {
    await inPlace(toFolder, async (partial) => {
      await share(folder, partial, moment.blobs)
      const journal = await open(join(partial, JOURNAL_FILE), 'wx', 0o600)
      try {
        await copyJournal(moment, journal)
        await journal.sync()
      } finally {
        await journal.close()
      }
    })
  } finally {
    closeSync(moment.descriptor)
  }
}

/** Makes a copy of an overlay that nobody has open, or of a snapshot of one, without copying content. */
export async function copyOverlay(fromFolder: string, toFolder: string): Promise<void> {
  await inPlace(toFolder, async (partial) => {
    const names = await readdir(join(fromFolder, BLOBS_FOLDER)).catch(nothingThere)
    await share(
      fromFolder,
      partial,
      names.filter((name) => BLOB_NAME.test(name)),
    )
    copyFileSync(join(fromFolder, JOURNAL_FILE), join(partial, JOURNAL_FILE))
    const journal = await open(join(partial, JOURNAL_FILE), 'r+')
    try {
      await journal.sync()
    } finally {
      await journal.close()
    }
  })
}

async function inPlace(toFolder: string, fill: (partial: string) => Promise<void>): Promise<void> {
  const partial = `${toFolder}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(join(partial, BLOBS_FOLDER), { recursive: true, mode: 0o700 })
  try {
    await fill(partial)
    syncFolderNow(join(partial, BLOBS_FOLDER))
    syncFolderNow(partial)
    await rename(partial, toFolder)
    syncFolderNow(dirname(toFolder))
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error
    throw new VmmError('conflict', `The folder ${toFolder} is there already.`, { cause: error })
  }
}

/** A blob that was never written to has no file. */
async function share(folder: string, toFolder: string, blobs: readonly string[]): Promise<void> {
  for (const name of blobs) {
    const [from, to] = [join(folder, BLOBS_FOLDER, name), join(toFolder, BLOBS_FOLDER, name)]
    try {
      await link(from, to)
    } catch (error) {
      if (errorCode(error) === 'ENOENT') continue
      if (errorCode(error) === 'ENOSPC') throw error
      await copyFile(from, to)
    }
  }
}

async function copyJournal({ descriptor, header, bytes }: OverlayMoment, to: FileHandle): Promise<void> {
  await to.writeFile(header)
  const window = Buffer.alloc(WINDOW)
  for (let at = header.length; at < bytes;) {
    const read = readSync(descriptor, window, 0, Math.min(WINDOW, bytes - at), at)
    if (read === 0) throw new VmmError('damaged', 'The journal of a shared folder is shorter than it was.')
    for (let done = 0; done < read;) done += (await to.write(window, done, read - done)).bytesWritten
    at += read
  }
}

function nothingThere(error: unknown): string[] {
  if (errorCode(error) === 'ENOENT') return []
  throw error
}
