import { FileError } from './file-error'
import type { MemoryContent } from './provider-memory-content'
import type { FileName, FileNode, FileTime } from './provider'

export const NO_DEVICE = { major: 0, minor: 0 }
/** What Linux's limits.h calls LINK_MAX, as ext4 has it. */
export const LINKS_MOST = 65_000

export interface MemoryNode {
  ino: number
  mode: number
  links: number
  uid: number
  gid: number
  device: { major: number; minor: number }
  accessed: FileTime
  modified: FileTime
  changed: FileTime
  held: number
  content: MemoryContent
  /** Of a folder. */
  entries: Map<FileName, MemoryNode> | null
  /** Of a folder; itself at the top. */
  parent: MemoryNode | null
  target: string
  xattrs: Map<string, Uint8Array>
}

/** What is in a folder. Throws ENOTDIR. */
export function folderOf(node: FileNode): Map<FileName, MemoryNode> {
  const { entries } = node as MemoryNode
  if (entries === null) throw new FileError('ENOTDIR')
  return entries
}

export function isWithin(folder: MemoryNode, top: MemoryNode): boolean {
  for (let at = folder; ; at = at.parent!) {
    if (at === top) return true
    if (at.parent === at) return false
  }
}

/** Whether rename(2) lets one thing take the place of another. */
export function checkReplaceable(node: MemoryNode, replaced: MemoryNode): void {
  if (replaced.entries === null) {
    if (node.entries !== null) throw new FileError('ENOTDIR')
    return
  }
  if (node.entries === null) throw new FileError('EISDIR')
  if (replaced.entries.size > 0) throw new FileError('ENOTEMPTY')
}
