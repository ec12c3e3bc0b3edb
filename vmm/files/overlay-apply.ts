import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { FileError } from './file-error'
import { AppliedChanges } from './overlay-applied'
import { changeOf, placeOf, type ChangePlace, type OverlayChange } from './overlay-changes'
import { copyFile } from './overlay-copy'
import { layersOf } from './overlay-blobs'
import { LowerBelow, sameTime } from './overlay-lower'
import { placeIn, type OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import { MODE, type FileName, type FileNode, type Provider } from './provider'
import { find, moveFrom, removeAll, removeAt, walk } from './provider-paths'

/** Folders in each other; more than there can be. */
const DEPTH_MOST = 100_000
/** Set-user-id and set-group-id. */
const SET_ID = 0o6000

export interface ChangeOutcome {
  path: string
  outcome: 'done' | 'conflict' | 'refused' | 'failed'
  /** Why not. */
  reason: string
}

/** The overlay that the changes are in. */
export interface ChangedTree extends Provider {
  readonly tree: OverlayTree
  /** Makes a name what it is below. */
  forget(path: string): void
}

export interface ApplyOptions {
  /** Also where the host has changed the same thing since. */
  force?: boolean
  signal?: AbortSignal
  onProgress?: (done: number, of: number) => void
}

/**
 * Brings changes of a guest to another tree (the host's folder), parents first, and forgets them in the overlay. Each
 * file is there as before or as it is to be; devices and set-id bits are refused, as is what the guest changes meanwhile.
 * What comes after an abort is untouched. A folder that the guest has made or moved stays a change until all in it has
 * been brought over.
 */
export async function applyChanges(
  overlay: ChangedTree,
  paths: readonly string[],
  target: Provider,
  { force = false, signal, onProgress }: ApplyOptions = {},
): Promise<ChangeOutcome[]> {
  const outcomes: ChangeOutcome[] = []
  const applied = new AppliedChanges(overlay.tree, target)
  const work: ApplyWork = { overlay, target, force, signal, applied, chosen: new Set(paths), moved: new Set() }
  try {
    for (const path of inOrder(overlay.tree, paths)) {
      if (signal?.aborted) break
      const outcome = await applyOne(work, path)
      if (!outcome) break
      outcomes.push(outcome)
      onProgress?.(outcomes.length, paths.length)
      await applied.settle(false)
      await setImmediate()
    }
  } finally {
    await applied.end()
  }
  return outcomes
}

/** Gives changes up, each at once. */
export function discardChanges(overlay: ChangedTree, paths: readonly string[], signal?: AbortSignal): ChangeOutcome[] {
  const outcomes: ChangeOutcome[] = []
  for (const path of paths) {
    if (signal?.aborted) break
    try {
      overlay.forget(path)
      outcomes.push({ path, outcome: 'done', reason: '' })
    } catch (error) {
      outcomes.push({ path, outcome: 'failed', reason: error instanceof Error ? error.message : String(error) })
    }
  }
  return outcomes
}

/** The first bytes of the file at a path, at most `limit`. */
export function firstBytes(tree: Provider, path: string, limit: number): Buffer {
  const node = walk(tree, path.split('/'))
  try {
    const file = tree.open(node, false)
    try {
      const into = Buffer.alloc(Math.min(limit, tree.attributes(node).size))
      return into.subarray(0, file.read(0, into))
    } finally {
      file.close()
    }
  } finally {
    tree.drop(node)
  }
}

interface ApplyWork {
  overlay: ChangedTree
  target: Provider
  force: boolean
  signal: AbortSignal | undefined
  applied: AppliedChanges
  /** All paths that are to be brought over. */
  chosen: ReadonlySet<string>
  /** Where what was moved on the host had been. */
  moved: Set<string>
}

/** Returns null when it was aborted before it was done. */
async function applyOne(work: ApplyWork, path: string): Promise<ChangeOutcome | null> {
  const { overlay, target, force, chosen } = work
  try {
    const { tree } = overlay
    const place = placeOf(tree, path)
    const node = place && tree.child(place.folder, place.name)
    const change = place && changeOf(tree, place, node, path)
    if (!change && work.moved.has(path)) return { path, outcome: 'done', reason: '' } // it went with what was moved
    if (!change) return { path, outcome: 'failed', reason: 'nothing has changed there' }
    const refusal = node ? refusalOf(node) || unchosenIn(tree, change, node, chosen) : neededBy(work, place)
    if (refusal) return { path, outcome: 'refused', reason: refusal }
    const names = path.split('/')
    const name = names.pop() ?? ''
    const folder = walk(target, names)
    try {
      const conflict = force ? '' : conflictOf(target, folder, name, change, node)
      if (conflict) return { path, outcome: 'conflict', reason: conflict }
      await bring(work, { change, place, node }, folder, name)
      return { path, outcome: 'done', reason: '' }
    } finally {
      target.drop(folder)
    }
  } catch (error) {
    if (work.signal?.aborted) return null
    return { path, outcome: 'failed', reason: error instanceof Error ? error.message : String(error) }
  }
}

/** Parents first; deletions last, as what was moved away from there is still read from there. */
function inOrder(tree: OverlayTree, paths: readonly string[]): string[] {
  const rank = (path: string): number => {
    const place = placeOf(tree, path)
    return path.split('/').length + (place?.folder.own?.entries.get(place.name) === null ? DEPTH_MOST : 0)
  }
  return paths
    .map((path) => ({ path, rank: rank(path) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ path }) => path)
}

/** Why something cannot be deleted on the host: the guest has it, or a part of it, in another place. */
function neededBy({ overlay: { tree }, applied }: ApplyWork, { folder, name }: ChangePlace): string {
  const place = placeIn(folder.lower ?? '', name)
  const isIn = (other: string | null): boolean => other === place || (other?.startsWith(`${place}/`) ?? false)
  for (const node of tree.recorded.values()) {
    if (!node.own || node.own.links === 0 || applied.has(node)) continue
    const below = [...layersOf(node.own.content)].at(-1)?.below
    if (isIn(node.lower) || (below instanceof LowerBelow && isIn(below.place)))
      return 'the guest has moved it, or something in it: bring that over with it'
  }
  return ''
}

/** Why a folder that was moved cannot be moved on the host: what has changed in it would be left behind. */
function unchosenIn(
  tree: OverlayTree,
  { kind, type, path }: OverlayChange,
  node: OverlayNode,
  chosen: ReadonlySet<string>,
): string {
  if (kind !== 'renamed' || type !== 'folder') return ''
  const inside = (folder: OverlayNode, above: string): boolean =>
    [...(folder.own?.entries ?? [])].some(([name, each]) => {
      const at = placeIn(above, name)
      const isLeft = changeOf(tree, { folder, name }, each, at) !== null && !chosen.has(at)
      return isLeft || (each !== null && inside(each, at))
    })
  return inside(node, path) ? 'what has changed in it has to be brought over with it' : ''
}

/** Whether the host has changed the same thing since the guest did, as far as that can be told. */
export function conflictsWithHost({ tree }: ChangedTree, path: string): boolean {
  const host = tree.lower.provider
  const place = placeOf(tree, path)
  const node = place && tree.child(place.folder, place.name)
  const change = place && changeOf(tree, place, node, path)
  if (!change) return false
  const names = path.split('/')
  const name = names.pop() ?? ''
  try {
    const folder = walk(host, names)
    try {
      return conflictOf(host, folder, name, change, node) !== ''
    } finally {
      host.drop(folder)
    }
  } catch (error) {
    if (error instanceof FileError) return false // the host has no such folder: nothing is in the way
    throw error
  }
}

function refusalOf({ own }: OverlayNode): string {
  const mode = own?.mode ?? 0
  const kind = mode & MODE.kind
  if (kind !== MODE.file && kind !== MODE.folder && kind !== MODE.link) return 'devices are not made on the host'
  return kind === MODE.file && (mode & SET_ID) !== 0 ? 'it would run with the rights of its owner' : ''
}

function conflictOf(
  target: Provider,
  folder: FileNode,
  name: FileName,
  { kind, type }: OverlayChange,
  node: OverlayNode | null,
): string {
  const there = find(target, folder, name)
  if (!there) return kind === 'added' || kind === 'renamed' || kind === 'deleted' ? '' : 'the host has removed it'
  try {
    const { size, modified, mode } = target.attributes(there)
    if (kind === 'added' || kind === 'renamed') {
      return type === 'folder' && (mode & MODE.kind) === MODE.folder ? '' : 'the host has something of this name'
    }
    const stamp = node?.own?.stamp
    if (kind !== 'changed' || !stamp) return ''
    return size === stamp.size && sameTime(modified, stamp.modified) ? '' : 'the host has changed it too'
  } finally {
    target.drop(there)
  }
}

interface ToBring {
  change: OverlayChange
  place: ChangePlace
  node: OverlayNode | null
}

async function bring(work: ApplyWork, { change, place, node }: ToBring, folder: FileNode, name: FileName) {
  const { target, applied } = work
  const { path, kind, type, from } = change
  const mode = (node?.own?.mode ?? 0) & 0o1777
  if (!node) removeAll(target, folder, name)
  else if (kind === 'attributes' || (type === 'folder' && kind === 'added')) {
    const there = find(target, folder, name) ?? target.createFolder(folder, name, { mode, uid: 0, gid: 0 })
    target.change(there, { mode })
    target.drop(there)
  } else if (kind === 'renamed' && type === 'folder') moveFrom(target, from ?? '', folder, name)
  else {
    await replace(work, { change, place, node }, folder, name)
    if (kind === 'renamed' && from !== undefined) removeAt(target, from)
  }
  if (from !== undefined) work.moved.add(from)
  applied.add(path, place, node)
}

/** Makes a file or link aside, and puts it in its place in one step. */
async function replace(
  { overlay, target, signal, applied }: ApplyWork,
  { change: { path, type }, place, node }: ToBring & { node: OverlayNode },
  folder: FileNode,
  name: FileName,
): Promise<void> {
  const aside = `.vivarium-${randomBytes(8).toString('hex')}`
  const { revision } = node
  overlay.hold(node)
  try {
    if (type === 'link') {
      target.drop(target.createLink(folder, aside, overlay.readLink(node), { mode: 0o777, uid: 0, gid: 0 }))
    } else {
      await applied.settle(true) // the guest's syncs are not to wait for a large file
      await copyFile({ tree: overlay, node }, { target, folder, name: aside }, signal)
    }
    const now = placeOf(overlay.tree, path)
    if (node.revision !== revision || now?.folder !== place.folder || overlay.tree.child(now.folder, now.name) !== node)
      throw new FileError('EBUSY', 'the guest was changing it')
    target.rename(folder, aside, folder, name)
  } catch (error) {
    removeAside(target, folder, aside)
    throw error
  } finally {
    overlay.drop(node)
  }
}

function removeAside(target: Provider, folder: FileNode, aside: FileName): void {
  try {
    target.unlink(folder, aside, false)
  } catch {
    // it was not made, or the host has taken its folder away
  }
}
