import { copyFile, link, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { errorCode } from '../../vmm/model/errors'

/** The same files make up a domain's present state and a snapshot. */
export interface StateFiles {
  folder: string
  /** Memory and devices. */
  machine: string
  /** The last stretch of the console, so that it is there again after a resume. */
  console: string
  /** What the guest's UEFI remembers. */
  variables: string
  /** Copies of what is kept of shares and of the registry, in a snapshot. */
  files: string
}

const LAYER = '.layer'

/** The state files in `folder`. */
export function stateFiles(folder: string): StateFiles {
  return {
    folder,
    machine: path.join(folder, 'machine.state'),
    console: path.join(folder, 'console.tail'),
    variables: path.join(folder, 'uefi.vars'),
    files: path.join(folder, 'files'),
  }
}

/** Copy-on-write layer of a disk; the first disk of a domain is called 'disk'. */
export function layerFile({ folder }: StateFiles, disk: string): string {
  return path.join(folder, `${disk}${LAYER}`)
}

/** Ids of the disks that have a layer among these files. */
export async function layersIn({ folder }: StateFiles): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => name.endsWith(LAYER)).map((name) => name.slice(0, -LAYER.length))
}

/** A hard link where the file system has them: the two are never written to again. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  const temporary = `${to}.partial`
  await rm(temporary, { force: true })
  try {
    await link(from, temporary)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') throw error
    await copyFile(from, temporary)
  }
  await rename(temporary, to)
  // renaming one link of a file over another does nothing, and leaves both
  await rm(temporary, { force: true })
}

/** Copies a file that need not be there; tells whether it was. */
export async function copyIfThere(from: string, to: string): Promise<boolean> {
  return await copyFile(from, to).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return false
      throw error
    },
  )
}

/** Bytes that a file takes up on the disk, holes not counted; 0 when there is none. */
export async function diskBytes(file: string): Promise<number> {
  return await stat(file).then(
    (found) => found.blocks * 512,
    () => 0,
  )
}

export async function fileExists(file: string): Promise<boolean> {
  return await stat(file).then(
    (found) => found.isFile(),
    () => false,
  )
}
