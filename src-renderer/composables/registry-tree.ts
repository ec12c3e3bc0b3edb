import type { RegistryKeyView } from '../../src-main/contract'
import { below, folded } from './registry-path'

/** Keys as far as they were read, and the rows that show them. */

export interface Subkey {
  name: string
  hasSubkeys: boolean
  /** Changed by this domain, or something below it. */
  own: boolean
}

/** What is known of the keys in a key: the first of them in the order of their names, and how many there are. */
export interface Branch {
  subkeys: readonly Subkey[]
  total: number
}

/** By folded path. */
export type Branches = ReadonlyMap<string, Branch>

export interface TreeRow {
  path: string
  name: string
  own: boolean
  /** Null for a key without keys. */
  open: boolean | null
  /** Depth in the tree, from 1. */
  level: number
  /** Index of the row of the key that it is in, or -1. */
  parent: number
  place: number
  of: number
  /** Stands for keys of `path` that were not read yet: how many. 0 for a key. */
  more: number
}

/** The rows of all that is open, from the top down. */
export function treeRows(branches: Branches, open: ReadonlySet<string>): TreeRow[] {
  const rows: TreeRow[] = []
  lay('', 1, -1)
  return rows

  function lay(path: string, level: number, parent: number): void {
    const branch = branches.get(folded(path))
    if (!branch) return
    branch.subkeys.forEach(({ name, hasSubkeys, own }, index) => {
      const child = below(path, name)
      const isOpen = open.has(folded(child))
      const place = { level, parent, place: index + 1, of: branch.total }
      const row = rows.push({ path: child, name, own, open: hasSubkeys ? isOpen : null, ...place, more: 0 }) - 1
      if (hasSubkeys && isOpen) lay(child, level + 1, row)
    })
    const more = branch.total - branch.subkeys.length
    if (more <= 0) return
    const place = { level, parent, place: branch.subkeys.length + 1, of: branch.total }
    rows.push({ path, name: '', own: false, open: null, ...place, more })
  }
}

/** A branch with one more page of its keys; a page that does not join on to what is known is left out. */
export function withPage(branch: Branch | undefined, page: RegistryKeyView, offset: number): Branch {
  const known = branch?.subkeys ?? []
  if (offset > known.length) return branch ?? { subkeys: [], total: page.subkeyTotal }
  return { subkeys: [...known.slice(0, offset), ...page.subkeys], total: page.subkeyTotal }
}

/** Index of the next row after `at`, around the end, whose name begins with what was typed; -1 for none. */
export function nextBeginning(rows: readonly TreeRow[], at: number, typed: string): number {
  const wanted = folded(typed)
  // more letters go on from where one is
  const first = typed.length > 1 ? 0 : 1
  for (let step = first; step < rows.length + first; step++) {
    const index = (at + step) % rows.length
    const row = rows[index]
    if (row?.more === 0 && folded(row.name).startsWith(wanted)) return index
  }
  return -1
}
