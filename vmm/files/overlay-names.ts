import { FileError } from './file-error'
import { isMissing } from './overlay-lower'
import { inoOfPlace, placeIn, timeNow, type OverlayNode, type OwnPart } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import { MODE, type FileName, type FolderEntry } from './provider'

const LINKS_MOST = 65_000
const NAME_MOST = 255

/** What names in folders lead to, and how that is changed. Nothing is changed by what throws. */
export class OverlayNames {
  constructor(private readonly tree: OverlayTree) {}

  /** Throws ENOENT. */
  child(folder: OverlayNode, name: FileName): OverlayNode {
    const node = this.tree.child(folder, name)
    if (!node) throw new FileError('ENOENT')
    return node
  }

  list(folder: OverlayNode): FolderEntry[] {
    this.tree.requireFolder(folder)
    if (folder.own?.links === 0) return []
    const listed = this.#listBelow(folder)
    for (const [name, node] of folder.own?.entries ?? []) {
      if (node) listed.push({ name, ino: node.ino, kind: node.kind() })
    }
    return listed
  }

  create(folder: OverlayNode, name: FileName, own: OwnPart): OverlayNode {
    this.#requireFree(folder, name)
    const above = this.tree.record(folder)
    const node = this.tree.add(folder, name, own)
    if (node.kind() === MODE.folder) above.subfolders++
    this.#touch(folder)
    return node
  }

  link(node: OverlayNode, folder: OverlayNode, name: FileName): void {
    this.tree.requireFolder(folder)
    if (this.tree.isFolder(node)) throw new FileError('EPERM')
    this.#requireFree(folder, name)
    const own = this.tree.record(node)
    if (own.links === 0) throw new FileError('ENOENT')
    if (own.links >= LINKS_MOST) throw new FileError('EMLINK')
    this.tree.record(folder)
    own.links++
    own.changed = timeNow()
    this.tree.log.touch(node)
    this.tree.setEntry(folder, name, node)
    this.#touch(folder)
  }

  unlink(folder: OverlayNode, name: FileName, folders: boolean): void {
    const node = this.child(folder, name)
    const isFolder = this.tree.isFolder(node)
    if (folders && !isFolder) throw new FileError('ENOTDIR')
    if (!folders && isFolder) throw new FileError('EISDIR')
    if (isFolder && this.list(node).length > 0) throw new FileError('ENOTEMPTY')
    this.tree.record(folder)
    this.tree.prepareUnname(node)
    this.tree.clearEntry(folder, name)
    this.tree.unname(folder, node)
    this.#touch(folder)
  }

  rename(folder: OverlayNode, name: FileName, toFolder: OverlayNode, toName: FileName): void {
    const node = this.child(folder, name)
    const replaced = this.tree.child(toFolder, toName)
    if (replaced === node) return
    const isFolder = this.tree.isFolder(node)
    if (isFolder && isWithin(toFolder, node)) throw new FileError('EINVAL')
    requireAlive(toFolder)
    requireName(toName)
    if (replaced) this.#requireReplaceable(replaced, isFolder)
    const own = this.tree.record(node)
    const [from, to] = [this.tree.record(folder), this.tree.record(toFolder)]
    if (replaced) this.tree.prepareUnname(replaced)
    this.tree.clearEntry(folder, name)
    this.tree.setEntry(toFolder, toName, node)
    if (replaced) this.tree.unname(toFolder, replaced)
    node.parent = toFolder
    node.name = toName
    if (isFolder) {
      from.subfolders--
      to.subfolders++
    }
    own.changed = timeNow()
    this.tree.log.touch(node)
    this.#touch(folder)
    this.#touch(toFolder)
  }

  /** What a folder has from the lower one. */
  #listBelow(folder: OverlayNode): FolderEntry[] {
    const { lower: place, own } = folder
    if (place === null) return []
    try {
      const below = this.tree.onLower(folder, (node) => this.tree.lower.provider.list(node))
      const seen = own ? below.filter(({ name }) => !own.entries.has(name)) : below
      return seen.map(({ name, kind }) => ({ name, kind, ino: inoIn(folder, place, name) }))
    } catch (error) {
      if (own && isMissing(error)) return []
      throw error
    }
  }

  #requireFree(folder: OverlayNode, name: FileName): void {
    requireName(name)
    requireAlive(folder)
    if (this.tree.child(folder, name)) throw new FileError('EEXIST')
  }

  #requireReplaceable(replaced: OverlayNode, byFolder: boolean): void {
    const isFolder = this.tree.isFolder(replaced)
    if (byFolder && !isFolder) throw new FileError('ENOTDIR')
    if (!byFolder && isFolder) throw new FileError('EISDIR')
    if (isFolder && this.list(replaced).length > 0) throw new FileError('ENOTEMPTY')
  }

  #touch(folder: OverlayNode): void {
    const own = this.tree.record(folder)
    own.modified = own.changed = timeNow()
    this.tree.log.touch(folder)
  }
}

/** What somebody holds keeps its number, wherever it lay when it got it. */
function inoIn(folder: OverlayNode, place: string, name: FileName): number {
  return folder.alive?.get(name)?.ino ?? inoOfPlace(placeIn(place, name))
}

function requireAlive(folder: OverlayNode): void {
  if (folder.own?.links === 0) throw new FileError('ENOENT')
}

function requireName(name: FileName): void {
  if (name.length > NAME_MOST) throw new FileError('ENAMETOOLONG')
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) throw new FileError('EINVAL')
}

function isWithin(folder: OverlayNode, above: OverlayNode): boolean {
  for (let each: OverlayNode | null = folder; each; each = each.parent) if (each === above) return true
  return false
}
