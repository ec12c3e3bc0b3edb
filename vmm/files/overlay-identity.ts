import { FileError } from './file-error'
import type { OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'

/*
 * A recorded node is known by its number in the journal, a clean one by its place in the lower tree. What was clean when
 * its identity was asked for may have been recorded, and moved, since.
 */
export function identityOf(node: OverlayNode): string {
  return node.own ? `n${node.id}` : `p${node.lower ?? ''}`
}

/** The node, not held. Throws ESTALE. */
export function revive(tree: OverlayTree, identity: string): OverlayNode {
  const node = identity.startsWith('n')
    ? tree.recorded.get(Number(identity.slice(1)))
    : identity.startsWith('p')
      ? atPlace(tree, identity.slice(1))
      : null
  if (!node) throw new FileError('ESTALE')
  return node
}

function atPlace(tree: OverlayTree, place: string): OverlayNode | null {
  let node = tree.root
  if (place === '') return node
  const moved = recordedPlaces(tree)
  let at = ''
  for (const name of place.split('/')) {
    at = at === '' ? name : `${at}/${name}`
    const next = moved.get(at) ?? (tree.isFolder(node) ? tree.child(node, name) : null)
    if (next?.lower !== at) return null
    node = next
  }
  return node
}

function recordedPlaces(tree: OverlayTree): Map<string, OverlayNode> {
  const places = new Map<string, OverlayNode>()
  for (const node of tree.recorded.values()) if (node.lower !== null) places.set(node.lower, node)
  return places
}
