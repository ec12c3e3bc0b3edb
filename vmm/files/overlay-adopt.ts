import { layersOf } from './overlay-blobs'
import type { ChangePlace } from './overlay-changes'
import { placeIn, type OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import { MODE } from './provider'

/**
 * Forgets a change, and those in it, that the lower tree has got: what the guest sees is what lies below from now on,
 * also where it has it open.
 */
export function adoptBelow(tree: OverlayTree, { folder, name }: ChangePlace): void {
  const node = folder.own?.entries.get(name)
  if (!folder.own || folder.lower === null || node === undefined) return
  const place = placeIn(folder.lower, name)
  if (node?.own && node.own.links > 1)
    tree.unname(folder, node) // its other names go on
  else if (node) adopt(tree, { folder, name }, node, place)
  folder.own.entries.delete(name)
  tree.log.entry(folder, name, undefined)
  tree.log.touch(folder)
}

function adopt(tree: OverlayTree, { folder, name }: ChangePlace, node: OverlayNode, place: string): void {
  const from = node.lower
  if (node.kind() === MODE.folder && folder.own && from !== place) folder.own.subfolders--
  relocate(tree, node, place)
  for (const inside of [...(node.own?.entries.keys() ?? [])]) {
    adoptBelow(tree, { folder: node, name: inside })
    tree.log.end() // a folder may hold more than one record of a journal takes
  }
  if (from !== null && from !== place) clearOldPlace(tree, from, node.kind() === MODE.folder)
  for (const content of layersOf(node.own?.content ?? null)) tree.log.blobGone(content)
  tree.log.gone(node)
  tree.recorded.delete(node.id)
  node.own = null
  node.id = 0
  node.parent = folder
  node.name = name
  tree.welcome(node)
}

/** It and what is clean in it lie somewhere else in the lower tree from now on. */
function relocate(tree: OverlayTree, node: OverlayNode, place: string): void {
  tree.forgetLower(node)
  node.lower = place
  for (const [name, inside] of node.alive ?? []) relocate(tree, inside, placeIn(place, name))
}

/** The name that it had on the host hides nothing any more. */
function clearOldPlace(tree: OverlayTree, place: string, wasFolder: boolean): void {
  const slash = place.lastIndexOf('/')
  const [above, name] = [slash === -1 ? '' : place.slice(0, slash), place.slice(slash + 1)]
  for (const home of tree.recorded.values()) {
    if (home.lower !== above || home.own?.entries.get(name) !== null) continue
    home.own.entries.delete(name)
    if (wasFolder) home.own.subfolders++
    tree.log.entry(home, name, undefined)
    tree.log.touch(home)
    return
  }
}
