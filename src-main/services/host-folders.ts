import { readdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import type { HostFolderView } from '../contract'
import { VmmError } from '../../vmm/model/errors'

const SHOWN = 1000

/** The folders in a folder of this host, hidden ones last; the person's own when none is named. */
export async function hostFolders(wanted = homedir()): Promise<HostFolderView> {
  if (!path.isAbsolute(wanted)) {
    throw new VmmError('invalid', 'A folder is named with its whole path.', { hint: 'Begin at the top.' })
  }
  const folder = path.resolve(wanted)
  const entries = await readdir(folder, { withFileTypes: true })
  const names: string[] = []
  for (const entry of entries) {
    const leadsToFolder = entry.isSymbolicLink() && (await isFolder(path.join(folder, entry.name)))
    if (entry.isDirectory() || leadsToFolder) names.push(entry.name)
  }
  names.sort((a, b) => Number(a.startsWith('.')) - Number(b.startsWith('.')) || a.localeCompare(b))
  const parent = path.dirname(folder)
  return {
    path: folder,
    parent: parent === folder ? '' : parent,
    folders: names.slice(0, SHOWN),
    cut: names.length > SHOWN,
  }
}

async function isFolder(file: string): Promise<boolean> {
  return await stat(file).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
