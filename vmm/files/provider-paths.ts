import { FileError } from './file-error'
import { MODE, type FileName, type FileNode, type Provider } from './provider'

/** Removes a name with all that is in it; nothing when there is none. */
export function removeAll(target: Provider, folder: FileNode, name: FileName): void {
  const node = find(target, folder, name)
  if (!node) return
  try {
    const isFolder = (target.attributes(node).mode & MODE.kind) === MODE.folder
    if (isFolder) for (const entry of target.list(node)) removeAll(target, node, entry.name)
    target.unlink(folder, name, isFolder)
  } finally {
    target.drop(node)
  }
}

/** Renames what is at a path. */
export function moveFrom(target: Provider, from: string, folder: FileNode, name: FileName): void {
  const names = from.split('/')
  const fromName = names.pop() ?? ''
  const fromFolder = walk(target, names)
  try {
    target.rename(fromFolder, fromName, folder, name)
  } finally {
    target.drop(fromFolder)
  }
}

/** Removes a path with all that is in it. */
export function removeAt(target: Provider, path: string): void {
  const names = path.split('/')
  const name = names.pop() ?? ''
  const folder = walk(target, names)
  try {
    removeAll(target, folder, name)
  } finally {
    target.drop(folder)
  }
}

/** A folder of the target, held; never through a link, as providers do not follow them. */
export function walk(target: Provider, names: readonly FileName[]): FileNode {
  let node = target.root()
  for (const name of names) {
    const above = node
    try {
      node = target.lookup(above, name)
    } finally {
      target.drop(above)
    }
  }
  return node
}

/** What a folder has under a name, held, or null. */
export function find(target: Provider, folder: FileNode, name: FileName): FileNode | null {
  try {
    return target.lookup(folder, name)
  } catch (error) {
    if (error instanceof FileError && error.code === 'ENOENT') return null
    throw error
  }
}
