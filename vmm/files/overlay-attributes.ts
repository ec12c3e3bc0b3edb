import { FileError } from './file-error'
import { resize, sizeOf } from './overlay-file'
import { timeNow, type OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import { MODE, type AttributeChange, type Attributes } from './provider'

const FOLDER_SIZE = 4096

export function attributesOf(tree: OverlayTree, node: OverlayNode): Attributes {
  const { own, ino } = node
  if (!own) {
    const below = tree.onLower(node, (lower) => tree.lower.provider.attributes(lower))
    // hard links of the lower tree are files of their own here
    const links = (below.mode & MODE.kind) === MODE.folder ? below.links : 1
    return { ...below, ino, links }
  }
  const kind = node.kind()
  const { mode, uid, gid, device, accessed, modified, changed } = own
  const size = kind === MODE.file ? sizeOf(tree, node) : kind === MODE.link ? sizeOfLink(tree, node) : 0
  const used = own.content?.used ?? Math.ceil(size / 512) * 512
  const times = { accessed, modified, changed }
  if (kind !== MODE.folder) return { ino, mode, links: own.links, uid, gid, device, size, used, ...times }
  return { ino, mode, links: linksOf(tree, node), uid, gid, device, size: FOLDER_SIZE, used: 0, ...times }
}

export function changeAttributes(tree: OverlayTree, node: OverlayNode, change: AttributeChange): void {
  const kind = tree.modeOf(node) & MODE.kind
  if (change.size !== undefined) {
    if (kind !== MODE.file) throw new FileError('EINVAL')
    resize(tree, node, change.size)
  }
  const own = tree.record(node)
  const now = timeNow()
  if (change.mode !== undefined) own.mode = kind | (change.mode & MODE.permissions)
  own.uid = change.uid ?? own.uid
  own.gid = change.gid ?? own.gid
  own.attributed ||= change.mode !== undefined || change.uid !== undefined || change.gid !== undefined
  if (change.accessed) own.accessed = change.accessed === 'now' ? now : change.accessed
  if (change.modified) own.modified = change.modified === 'now' ? now : change.modified
  own.changed = now
  tree.log.touch(node)
}

export function readTarget(tree: OverlayTree, node: OverlayNode): string {
  if ((tree.modeOf(node) & MODE.kind) !== MODE.link) throw new FileError('EINVAL')
  if (node.lower === null) return node.own?.target ?? ''
  return tree.onLower(node, (lower) => tree.lower.provider.readLink(lower))
}

function sizeOfLink(tree: OverlayTree, node: OverlayNode): number {
  return node.lower === null ? (node.own?.target.length ?? 0) : (tree.below(node)?.size ?? 0)
}

function linksOf(tree: OverlayTree, folder: OverlayNode): number {
  const own = folder.own
  if (!own || own.links === 0) return 0
  const below = tree.below(folder)?.links ?? 2
  // some file systems tell 1 for every folder: not counted
  return below < 2 ? 1 : Math.max(2, below + own.subfolders)
}
