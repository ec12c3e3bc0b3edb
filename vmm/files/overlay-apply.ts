import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { FileError } from './file-error'
import { changeOf, placeOf, type OverlayChange } from './overlay-changes'
import { sameTime } from './overlay-lower'
import type { OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import { MODE, type FileName, type FileNode, type Provider } from './provider'

const PIECE = 1024 * 1024
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
 * file is there as before or as it is to be; devices and set-id bits are refused. What comes after an abort is untouched.
 */
export async function applyChanges(
  overlay: ChangedTree,
  paths: readonly string[],
  target: Provider,
  { force = false, signal, onProgress }: ApplyOptions = {},
): Promise<ChangeOutcome[]> {
  const outcomes: ChangeOutcome[] = []
  for (const path of [...paths].sort((a, b) => a.split('/').length - b.split('/').length)) {
    if (signal?.aborted) break
    outcomes.push(applyOne(overlay, path, target, force))
    onProgress?.(outcomes.length, paths.length)
    await setImmediate()
  }
  await target.flush()
  for (const { path } of outcomes.filter(({ outcome }) => outcome === 'done').reverse()) overlay.forget(path)
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

function applyOne(overlay: ChangedTree, path: string, target: Provider, force: boolean): ChangeOutcome {
  try {
    const { tree } = overlay
    const place = placeOf(tree, path)
    const node = place && tree.child(place.folder, place.name)
    const change = place && changeOf(tree, place, node, path)
    if (!change) return { path, outcome: 'failed', reason: 'nothing has changed there' }
    const refusal = node ? refusalOf(node) : ''
    if (refusal) return { path, outcome: 'refused', reason: refusal }
    const names = path.split('/')
    const name = names.pop() ?? ''
    const folder = walk(target, names)
    try {
      const conflict = force ? '' : conflictOf(target, folder, name, change, node)
      if (conflict) return { path, outcome: 'conflict', reason: conflict }
      bring(overlay, change, node, target, folder, name)
      return { path, outcome: 'done', reason: '' }
    } finally {
      target.drop(folder)
    }
  } catch (error) {
    return { path, outcome: 'failed', reason: error instanceof Error ? error.message : String(error) }
  }
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

function bring(
  overlay: ChangedTree,
  { kind, type, from }: OverlayChange,
  node: OverlayNode | null,
  target: Provider,
  folder: FileNode,
  name: FileName,
): void {
  if (!node) return removeAll(target, folder, name)
  const mode = (node.own?.mode ?? 0) & 0o1777
  if (kind === 'attributes' || (type === 'folder' && kind === 'added')) {
    const there = find(target, folder, name) ?? target.createFolder(folder, name, { mode, uid: 0, gid: 0 })
    target.change(there, { mode })
    return target.drop(there)
  }
  if (kind === 'renamed' && type === 'folder') return moveFrom(target, from ?? '', folder, name)
  const aside = `.vivarium-${randomBytes(8).toString('hex')}`
  try {
    if (type === 'link') {
      target.drop(target.createLink(folder, aside, overlay.readLink(node), { mode: 0o777, uid: 0, gid: 0 }))
    } else copyFile(overlay, node, target, folder, aside, mode)
    target.rename(folder, aside, folder, name)
  } catch (error) {
    if (find(target, folder, aside)) target.unlink(folder, aside, false)
    throw error
  }
  if (kind === 'renamed' && from !== undefined) removeAt(target, from)
}

function copyFile(
  overlay: ChangedTree,
  node: OverlayNode,
  target: Provider,
  folder: FileNode,
  name: FileName,
  mode: number,
): void {
  const made = target.createFile(folder, name, { mode: 0o600, uid: 0, gid: 0 })
  const [from, to] = [overlay.open(node, false), target.open(made, true)]
  try {
    const piece = Buffer.alloc(PIECE)
    for (let at = 0, read = from.read(0, piece); read > 0; at += read, read = from.read(at, piece)) {
      to.write(at, piece.subarray(0, read))
    }
    target.change(made, { mode, modified: overlay.attributes(node).modified })
  } finally {
    from.close()
    to.close()
    target.drop(made)
  }
}

function removeAll(target: Provider, folder: FileNode, name: FileName): void {
  const node = find(target, folder, name)
  if (!node) return
  try {
    const isFolder = (target.attributes(node).mode & MODE.kind) === MODE.folder
    if (isFolder) for (const entry of target.list(node)) removeAll(target, node, entry.name)
    target.unlink(folder, name, isFolder)
  } finally {
    target.drop(node)
  }
}

function moveFrom(target: Provider, from: string, folder: FileNode, name: FileName): void {
  const names = from.split('/')
  const fromName = names.pop() ?? ''
  const fromFolder = walk(target, names)
  try {
    target.rename(fromFolder, fromName, folder, name)
  } finally {
    target.drop(fromFolder)
  }
}

function removeAt(target: Provider, path: string): void {
  const names = path.split('/')
  const name = names.pop() ?? ''
  const folder = walk(target, names)
  try {
    removeAll(target, folder, name)
  } finally {
    target.drop(folder)
  }
}

/** A folder of the target, held; never through a link, as providers do not follow them. */
function walk(target: Provider, names: readonly FileName[]): FileNode {
  let node = target.root()
  for (const name of names) {
    const above = node
    try {
      node = target.lookup(above, name)
    } finally {
      target.drop(above)
    }
  }
  return node
}

function find(target: Provider, folder: FileNode, name: FileName): FileNode | null {
  try {
    return target.lookup(folder, name)
  } catch (error) {
    if (error instanceof FileError && error.code === 'ENOENT') return null
    throw error
  }
}
