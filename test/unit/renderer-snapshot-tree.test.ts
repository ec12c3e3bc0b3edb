import { describe, expect, it } from 'vitest'
import type { SnapshotView } from '../../src-main/contract'
import { lanes, layTree } from '../../src-renderer/composables/snapshot-tree'

let clock = 0
function snapshot(id: string, parentId: string | null, fields: Partial<SnapshotView> = {}): SnapshotView {
  clock += 1
  const rest = {
    domainId: 'd',
    name: id,
    description: '',
    live: true,
    memoryMiB: 128,
    bytes: 0,
    current: false,
    damage: '',
  }
  return { id, parentId, createdAt: clock, ...rest, ...fields }
}

const picture = (snapshots: SnapshotView[]) =>
  layTree(snapshots).map((row) => `${'  '.repeat(row.lane)}${row.snapshot?.name ?? '*'}`)

describe('the snapshot tree', () => {
  it('keeps the line to the present state in its lane and hangs the present state at its end', () => {
    const tree = [snapshot('a', null), snapshot('b', 'a'), snapshot('c', 'b', { current: true })]
    expect(picture(tree)).toEqual(['a', 'b', 'c', '*'])
    expect(lanes(layTree(tree))).toBe(1)
  })

  it('draws side branches to the right, before the line goes on', () => {
    const tree = [snapshot('a', null), snapshot('b', 'a', { current: true }), snapshot('c', 'a'), snapshot('d', 'c')]
    expect(picture(tree)).toEqual(['a', '  c', '  d', 'b', '*'])
  })

  it('hangs the present state below an inner snapshot after a revert', () => {
    const tree = [snapshot('a', null, { current: true }), snapshot('b', 'a')]
    expect(picture(tree)).toEqual(['a', '  b', '*'])
    expect(layTree(tree)[2]).toMatchObject({ level: 2, parent: 0, place: 2, of: 2 })
  })

  it('has no present state where it descends from no snapshot', () => {
    expect(picture([snapshot('a', null)])).toEqual(['a'])
  })

  it('treats a snapshot whose parent is gone as a root', () => {
    expect(picture([snapshot('a', 'gone'), snapshot('b', null, { current: true })])).toEqual(['a', 'b', '*'])
  })

  it('shows every snapshot once even when damage made a loop of parents', () => {
    const names = layTree([snapshot('a', 'b'), snapshot('b', 'a'), snapshot('c', 'c')]).map((row) => row.snapshot?.name)
    expect(names.sort()).toEqual(['a', 'b', 'c'])
  })
})
