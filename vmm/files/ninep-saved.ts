import { FileError } from './file-error'
import { openFid } from './ninep-file-operations'
import { Fid, OPEN_FLAG, type Attachment } from './ninep-fids'
import { lockOwner } from './ninep-locks'
import type { Fields } from './ninep-messages'
import type { NinepState } from './ninep-state'

/** What a session keeps over a restart of its process, or in a snapshot: plain JSON. */
export interface SavedSession {
  versioned: boolean
  msize: number
  fids: SavedFid[]
  locks: SavedLock[]
  /** Requests that wait for a lock. */
  waiting: (Fields<'Tlock'> & { tag: number })[]
}

interface SavedFid {
  number: number
  aname: string
  uname: string
  uid: number
  /** Null for one that was lost before. */
  identity: string | null
  ino: number
  kind: number
  place: { folder: string; name: string } | null
  flags: number | null
  /** The value in base64. */
  xattr: { value: string; writing: { name: string; flags: number; filled: number } | null } | null
}

interface SavedLock {
  fid: number
  write: boolean
  start: number
  /** Null for all that follows. */
  end: number | null
  processId: number
  clientId: string
}

export function saveFids(state: NinepState): Pick<SavedSession, 'fids' | 'locks'> {
  const fids: SavedFid[] = []
  const locks: SavedLock[] = []
  for (const [number, fid] of state.fids.entries()) {
    fids.push(saveFid(number, fid))
    if (!fid.locked) continue
    const { scope, ino } = state.lockPlace(fid)
    for (const held of state.options.locks.heldThrough(scope, ino, fid)) {
      const { write, start, end, processId, clientId } = held
      locks.push({ fid: number, write, start, end: end === Infinity ? null : end, processId, clientId })
    }
  }
  return { fids, locks }
}

function saveFid(number: number, fid: Fid): SavedFid {
  const { provider, node, place, xattr, ino, kind, flags } = fid
  const { aname, uname, uid } = fid.attachment
  return {
    ...{ number, aname, uname, uid, ino, kind, flags },
    identity: node === null ? null : provider.identity(node),
    place: place === null ? null : { folder: provider.identity(place.folder), name: place.name },
    xattr: xattr === null ? null : { value: xattr.value.toString('base64'), writing: xattr.writing },
  }
}

/** Takes the fids up again; what cannot be found is there, and stale. */
export function restoreFids(state: NinepState, saved: SavedSession): void {
  const attachments = new Map<string, Attachment>()
  for (const each of saved.fids) {
    const key = JSON.stringify([each.aname, each.uname, each.uid])
    if (!attachments.has(key)) attachments.set(key, attachment(state, each))
    restoreFid(state, each, attachments.get(key)!)
  }
  for (const lock of saved.locks) restoreLock(state, lock)
}

function attachment({ options }: NinepState, { aname, uname, uid }: SavedFid): Attachment {
  const provider = orGone(() => options.tree(aname, uname))
  return { provider, gate: provider && (options.gate?.(aname) ?? null), aname, uname, uid }
}

function restoreFid(state: NinepState, saved: SavedFid, attached: Attachment): void {
  const { identity, place, flags, xattr } = saved
  const { provider } = attached
  const node = provider === null || identity === null ? null : orGone(() => provider.revive(identity))
  const folder = provider === null || place === null ? null : orGone(() => provider.revive(place.folder))
  const from = folder !== null && place !== null ? { folder, name: place.name } : null
  const fid = new Fid(attached, node, saved.ino, saved.kind, from)
  if (node !== null && flags !== null && !reopened(fid, flags)) {
    provider!.drop(node)
    fid.node = null
  }
  fid.flags = flags
  if (xattr !== null) {
    state.fids.setXattr(fid, { value: Buffer.from(xattr.value, 'base64'), writing: xattr.writing })
  }
  state.fids.add(saved.number, fid)
}

function reopened(fid: Fid, flags: number): boolean {
  return orGone(() => (openFid(fid, flags & ~OPEN_FLAG.truncate), true)) ?? false
}

function restoreLock(state: NinepState, saved: SavedLock): void {
  const { id, fids, options } = state
  const fid = fids.get(saved.fid)
  if (fid.node === null) return
  const { write, start, processId, clientId } = saved
  const end = saved.end ?? Infinity
  const owner = lockOwner(id, clientId, processId)
  fid.locked = true
  const { scope, ino } = state.lockPlace(fid)
  options.locks.try(scope, ino, { write, start, end, owner, processId, clientId, through: fid })
}

function orGone<T>(work: () => T): T | null {
  try {
    return work()
  } catch (error) {
    if (error instanceof FileError) return null
    throw error
  }
}
