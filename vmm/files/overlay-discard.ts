import { FileError } from './file-error'
import { layersOf } from './overlay-blobs'
import { isInPlace, placeOf, type ChangePlace } from './overlay-changes'
import type { OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import { MODE } from './provider'

/** Makes a name what it is in the lower tree; with a folder goes all that is in it. Throws ENOENT when nothing has changed there. */
export function discardChange(tree: OverlayTree, path: string): void {
  const place = placeOf(tree, path)
  if (!place) throw new FileError('ENOENT', 'nothing has changed there')
  discardAt(tree, place)
}

function discardAt(tree: OverlayTree, { folder, name }: ChangePlace): void {
  const node = folder.own?.entries.get(name)
  if (!folder.own || node === undefined) return
  if (node === null) return showBelow(tree, { folder, name })
  const inPlace = isInPlace(folder, name, node)
  if (!inPlace && node.lower !== null && node.own?.links === 1) return moveBack(tree, { folder, name }, node)
  for (const inside of [...(node.own?.entries.keys() ?? [])]) {
    discardAt(tree, { folder: node, name: inside })
    tree.log.end() // a folder may hold more than one record of a journal takes
  }
  if (inPlace) return clean(tree, { folder, name }, node)
  folder.own.entries.delete(name)
  tree.log.entry(folder, name, undefined)
  if (tree.isBelow(folder, name) && isFolderBelow(tree, { folder, name })) folder.own.subfolders++
  tree.unname(folder, node)
  tree.log.touch(folder)
}

/** A name that was taken away is seen again. */
function showBelow(tree: OverlayTree, { folder, name }: ChangePlace): void {
  if (!folder.own) return
  folder.own.entries.delete(name)
  tree.log.entry(folder, name, undefined)
  if (isFolderBelow(tree, { folder, name })) folder.own.subfolders++
  tree.log.touch(folder)
}

/** Forgets what was kept of a node that is in its place; whoever holds it sees the lower one from now on. */
function clean(tree: OverlayTree, { folder, name }: ChangePlace, node: OverlayNode): void {
  const own = node.own
  if (!own || own.links > 1) throw new FileError('EBUSY', 'it has another name')
  if (own.entries.size > 0) return
  for (const content of layersOf(own.content)) tree.log.blobGone(content)
  tree.log.gone(node)
  tree.recorded.delete(node.id)
  node.own = null
  node.id = 0
  node.parent = folder
  node.name = name
  folder.own?.entries.delete(name)
  tree.log.entry(folder, name, undefined)
  tree.welcome(node)
}

function moveBack(tree: OverlayTree, { folder, name }: ChangePlace, node: OverlayNode): void {
  const place = node.lower ?? ''
  const slash = place.lastIndexOf('/')
  const above = slash === -1 ? '' : place.slice(0, slash)
  const home = [...tree.recorded.values()].find((each) => each.lower === above && each.own?.links !== 0)
  const homeName = place.slice(slash + 1)
  if (home?.own?.entries.get(homeName) !== null) throw new FileError('EEXIST', `${place} has been made anew`)
  tree.clearEntry(folder, name)
  if (tree.isBelow(folder, name)) showBelow(tree, { folder, name })
  node.parent = home
  node.name = homeName
  tree.setEntry(home, homeName, node)
  if (node.kind() === MODE.folder && folder.own) {
    folder.own.subfolders--
    home.own.subfolders++
  }
  tree.log.touch(folder)
  tree.log.touch(home)
  discardAt(tree, { folder: home, name: homeName })
}

function isFolderBelow(tree: OverlayTree, { folder, name }: ChangePlace): boolean {
  const child = tree.child(folder, name)
  return child !== null && tree.isFolder(child)
}
