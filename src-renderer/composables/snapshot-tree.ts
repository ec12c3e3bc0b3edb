import type { SnapshotView } from '../../src-main/contract'

/** One line of the tree picture. Rows run from the oldest root down; a lane is a column of the picture. */
export interface TreeRow {
  /** The snapshot, or null for the present state of the domain. */
  snapshot: SnapshotView | null
  /** Depth in the tree, from 1. */
  level: number
  lane: number
  /** Row index of the parent, or -1 for a root. */
  parent: number
  place: number
  of: number
}

interface Node {
  snapshot: SnapshotView | null
  children: Node[]
  /** Whether the present state is in this subtree. */
  leadsHere: boolean
}

/**
 * Lays snapshots out as a tree with the present state ('you are here') hung below the snapshot it descends
 * from. A side branch moves one lane to the right and comes before the main line, which keeps its lane: so no
 * two lines cross. A snapshot whose parent is gone is a root; a loop of parents, which only damage can make, is
 * cut.
 */
export function layTree(snapshots: readonly SnapshotView[]): TreeRow[] {
  const rows: TreeRow[] = []
  const roots = growTree(snapshots)
  roots.forEach((root, index) => walk(root, 1, 0, -1, index + 1, roots.length))
  return rows

  function walk(node: Node, level: number, lane: number, parent: number, place: number, of: number): void {
    const row = rows.push({ snapshot: node.snapshot, level, lane, parent, place, of }) - 1
    node.children.forEach((child, index) => {
      const main = index === node.children.length - 1
      walk(child, level + 1, main ? lane : lane + 1, row, index + 1, node.children.length)
    })
  }
}

function growTree(snapshots: readonly SnapshotView[]): Node[] {
  const nodes = new Map<string, Node>()
  for (const snapshot of snapshots) nodes.set(snapshot.id, { snapshot, children: [], leadsHere: false })
  const roots: Node[] = []
  for (const node of nodes.values()) {
    const parent = nodes.get(node.snapshot?.parentId ?? '')
    if (parent && !hasAncestor(node, parent, nodes)) parent.children.push(node)
    else roots.push(node)
    if (node.snapshot?.current) node.children.push({ snapshot: null, children: [], leadsHere: true })
  }
  const ordered = order(roots)
  return ordered
}

/** Whether `node` is `above` or stands over it, which would close a loop. */
function hasAncestor(node: Node, above: Node, nodes: ReadonlyMap<string, Node>): boolean {
  let at: Node | undefined = above
  for (let steps = 0; at && steps <= nodes.size; steps += 1) {
    if (at === node) return true
    at = nodes.get(at.snapshot?.parentId ?? '')
  }
  return false
}

/** Older branches first; the one that leads to the present state last, so that it is the main line. */
function order(nodes: Node[]): Node[] {
  for (const node of nodes) {
    node.children = order(node.children)
    node.leadsHere ||= node.children.some((child) => child.leadsHere)
  }
  const age = (node: Node): number => node.snapshot?.createdAt ?? Infinity
  return nodes.sort((a, b) => Number(a.leadsHere) - Number(b.leadsHere) || age(a) - age(b))
}

/** How many lanes the picture has. */
export const lanes = (rows: readonly TreeRow[]): number => rows.reduce((most, row) => Math.max(most, row.lane + 1), 0)
