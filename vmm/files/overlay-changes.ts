import { isMissing } from './overlay-lower'
import { placeIn, type OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import { MODE, type Attributes, type FileName, type FileNode } from './provider'

export type ChangedType = 'file' | 'folder' | 'link' | 'device'

/** What a guest has done to one name. A folder that was added or moved is one change, as is each thing added in it. */
export interface OverlayChange {
  /** Names joined with '/', from the top folder; bytes as latin1. */
  path: string
  kind: 'added' | 'changed' | 'deleted' | 'attributes' | 'renamed'
  type: ChangedType
  /** Size on the host, bytes; null where there is nothing. */
  before: number | null
  /** Size for the guest. */
  after: number | null
  /** Of what was renamed: its path on the host. */
  from?: string
}

/** Where a change is: the recorded folder and the name in it. */
export interface ChangePlace {
  folder: OverlayNode
  name: FileName
}

/** Everything in which the guest's tree differs from the lower one, folders before what is in them. */
export function* changesOf(tree: OverlayTree): Generator<OverlayChange> {
  if (tree.root.own?.attributed) yield { path: '', kind: 'attributes', type: 'folder', before: null, after: null }
  const folders: { node: OverlayNode; path: string }[] = [{ node: tree.root, path: '' }]
  for (let next = folders.pop(); next; next = folders.pop()) {
    const { node: folder, path: above } = next
    for (const [name, node] of folder.own?.entries ?? []) {
      const path = placeIn(above, name)
      const change = changeOf(tree, { folder, name }, node, path)
      if (change) yield change
      if (node?.kind() === MODE.folder) folders.push({ node, path })
    }
  }
}

/** The change at a place, or null when it is none by itself. */
export function changeOf(
  tree: OverlayTree,
  { folder, name }: ChangePlace,
  node: OverlayNode | null,
  path: string,
): OverlayChange | null {
  const below = lowerAttributes(tree, folder, name)
  const before = below ? below.size : null
  if (!node) return below && { path, kind: 'deleted', type: typeOf(below.mode), before, after: null }
  const own = node.own
  if (!own) return null
  const type = typeOf(own.mode)
  const after = own.content?.size ?? (node.lower === null ? own.target.length : (tree.below(node)?.size ?? null))
  if (isInPlace(folder, name, node)) {
    if (own.content) return { path, kind: 'changed', type, before, after }
    return own.attributed ? { path, kind: 'attributes', type, before, after } : null
  }
  if (node.lower !== null && own.links === 1) return { path, kind: 'renamed', type, before, after, from: node.lower }
  return { path, kind: below && type !== 'folder' ? 'changed' : 'added', type, before, after }
}

/** Whether a node is where the lower tree has it. */
export function isInPlace(folder: OverlayNode, name: FileName, node: OverlayNode): boolean {
  return folder.lower !== null && node.lower === placeIn(folder.lower, name)
}

/** The recorded folder and the name that a path of a change leads to, or null. */
export function placeOf(tree: OverlayTree, path: string): ChangePlace | null {
  const names = path.split('/')
  const name = names.pop() ?? ''
  let folder = tree.root
  for (const each of names) {
    const next = folder.own?.entries.get(each)
    if (!next) return null
    folder = next
  }
  return folder.own?.entries.has(name) ? { folder, name } : null
}

export function typeOf(mode: number): ChangedType {
  const kind = mode & MODE.kind
  if (kind === MODE.file) return 'file'
  if (kind === MODE.folder) return 'folder'
  return kind === MODE.link ? 'link' : 'device'
}

function lowerAttributes(tree: OverlayTree, folder: OverlayNode, name: FileName): Attributes | null {
  if (folder.lower === null || !tree.isBelow(folder, name)) return null
  let found: FileNode
  try {
    found = tree.lower.find(placeIn(folder.lower, name))
  } catch (error) {
    if (isMissing(error)) return null // the host has moved a folder that is still held
    throw error
  }
  try {
    return tree.lower.provider.attributes(found)
  } finally {
    tree.lower.provider.drop(found)
  }
}
