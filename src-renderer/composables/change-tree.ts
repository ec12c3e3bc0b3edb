import type { FileChangeView } from '../../src-main/contract'

/** Changes of a share as a tree of folders. Nothing here changes what it is handed. */

export interface ChangeNode {
  /** The key of its change; the path for a folder that is itself as it was. */
  id: string
  path: string
  name: string
  change: FileChangeView | null
  children: ChangeNode[]
}

/** One line of the tree. */
export interface ChangeRow {
  node: ChangeNode
  level: number
  /** Among its siblings, from 1. */
  place: number
  of: number
  /** Null for what holds nothing. */
  open: boolean | null
  /** Index of the row of the folder that it is in; -1 at the top. */
  parent: number
}

export type ChangeFilter = 'all' | FileChangeView['kind'] | 'conflict'

/** Whether a change is among those asked for. */
export const isAsked = (change: FileChangeView, text: string, filter: ChangeFilter): boolean =>
  (filter === 'all' || change.kind === filter || (filter === 'conflict' && change.conflict)) &&
  [change.path, change.from].some((path) => path.toLowerCase().includes(text.trim().toLowerCase()))

export function growChanges(changes: readonly FileChangeView[]): ChangeNode[] {
  const top: ChangeNode = { id: '', path: '', name: '', change: null, children: [] }
  const folders = new Map<string, ChangeNode>([['', top]])
  // shorter paths first, so that a folder is there before what is in it
  for (const change of [...changes].sort((a, b) => a.path.length - b.path.length)) {
    const cut = change.path.lastIndexOf('/')
    const node = { id: change.key, path: change.path, name: change.path.slice(cut + 1) || '/', change, children: [] }
    folderOf(change.path.slice(0, Math.max(0, cut))).children.push(node)
    // two names that are no text may look the same
    if (!folders.has(change.path)) folders.set(change.path, node)
  }
  return inOrder(top.children)

  function folderOf(path: string): ChangeNode {
    const missing: string[] = []
    let at = path
    while (!folders.has(at)) {
      missing.push(at)
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')))
    }
    let folder = folders.get(at) ?? top
    for (const each of missing.reverse()) {
      const node = { id: each, path: each, name: each.slice(each.lastIndexOf('/') + 1), change: null, children: [] }
      folder.children.push(node)
      folders.set(each, node)
      folder = node
    }
    return folder
  }
}

/** Folders before files, each by name. */
function inOrder(nodes: ChangeNode[]): ChangeNode[] {
  for (const node of nodes) node.children = inOrder(node.children)
  const isFile = ({ change }: ChangeNode): number => Number(change !== null && change.type !== 'folder')
  return nodes.sort((a, b) => isFile(a) - isFile(b) || a.name.localeCompare(b.name, undefined, { numeric: true }))
}

/** The lines that are seen while the folders in `closed` are closed. */
export function changeRows(nodes: readonly ChangeNode[], closed: ReadonlySet<string>): ChangeRow[] {
  const rows: ChangeRow[] = []
  lay(nodes, 1, -1)
  return rows

  function lay(siblings: readonly ChangeNode[], level: number, parent: number): void {
    siblings.forEach((node, index) => {
      const open = node.children.length > 0 ? !closed.has(node.id) : null
      const row = rows.push({ node, level, place: index + 1, of: siblings.length, open, parent }) - 1
      if (open) lay(node.children, level + 1, row)
    })
  }
}

/** Keys of all changes of a node and below it. */
export const keysOf = ({ change, children }: ChangeNode): string[] => [
  ...(change ? [change.key] : []),
  ...children.flatMap(keysOf),
]

/** How much of a node is chosen. */
export function chosenOf(node: ChangeNode, chosen: ReadonlySet<string>): 'all' | 'some' | 'none' {
  const keys = keysOf(node)
  const count = keys.filter((key) => chosen.has(key)).length
  return count === 0 ? 'none' : count === keys.length ? 'all' : 'some'
}

/** The chosen changes, and the new and renamed folders that they lie in: these have to be there first. */
export function withNewFolders(changes: readonly FileChangeView[], chosen: ReadonlySet<string>): FileChangeView[] {
  const paths = changes.filter(({ key }) => chosen.has(key)).map(({ path }) => path)
  const above = new Set(
    paths.flatMap((path) => path.split('/').map((_, index, parts) => parts.slice(0, index).join('/'))),
  )
  return changes.filter(
    ({ key, path, kind, type }) =>
      chosen.has(key) || ((kind === 'added' || kind === 'renamed') && type === 'folder' && above.has(path)),
  )
}
