import { FileError } from './file-error'
import { LOCK, lockOwner, type LockRange } from './ninep-locks'
import { encode, type Request } from './ninep-messages'
import type { Fid } from './ninep-fids'
import type { NinepState } from './ninep-state'
import { MODE } from './provider'

/** Record locks: fcntl(2) and flock(2) of the guests, against each other. */

const STATUS = { success: 0, blocked: 1, error: 2 } as const
const BLOCK = 1
const CLIENT_ID_MOST = 256
/** Requests of one session that may wait for a lock; others are told to come again. */
const WAITS_MOST = 128

/** Begins to wait; `answer` is called once unless the returned function was called before. */
export type LockWait = (answer: (reply: Buffer) => void) => () => void

export function lock(state: NinepState, request: Request<'Tlock'>, waiting: number): Buffer | LockWait {
  const fid = state.fids.get(request.fid)
  if (fid.flags === null || fid.kind === MODE.link) throw new FileError('EBADF')
  const range = rangeOf(state, fid, request)
  const { locks } = state.options
  const { scope, ino } = state.lockPlace(fid)
  const reply = (status: number) => encode('Rlock', request.tag, { status })
  if (request.type === LOCK.none) {
    locks.release(scope, ino, range.owner, range.start, range.end)
    return reply(STATUS.success)
  }
  fid.locked = true
  const taken = locks.try(scope, ino, range)
  if (taken === null) throw new FileError('ENOLCK')
  if (taken) return reply(STATUS.success)
  if ((request.flags & BLOCK) === 0 || waiting >= WAITS_MOST) return reply(STATUS.blocked)
  return (answer) => locks.wait(scope, ino, range, () => answer(reply(STATUS.success)))
}

/** Tells a lock that would be in the way, or that there is none. */
export function testLock(state: NinepState, request: Request<'Tgetlock'>): Buffer {
  const fid = state.fids.get(request.fid)
  const { scope, ino } = state.lockPlace(fid)
  const found = state.options.locks.conflict(scope, ino, rangeOf(state, fid, request))
  const { tag, start, length, processId, clientId } = request
  if (found === undefined) return encode('Rgetlock', tag, { type: LOCK.none, start, length, processId, clientId })
  return encode('Rgetlock', tag, {
    type: found.write ? LOCK.write : LOCK.read,
    start: found.start,
    length: found.end === Infinity ? 0 : found.end - found.start,
    processId: found.processId,
    clientId: found.clientId,
  })
}

function rangeOf(state: NinepState, fid: Fid, request: Request<'Tlock'> | Request<'Tgetlock'>): LockRange {
  const { type, start, length, processId, clientId } = request
  if (type > LOCK.none || clientId.length > CLIENT_ID_MOST) throw new FileError('EINVAL')
  return {
    write: type === LOCK.write,
    start,
    // 0 is all that follows
    end: length === 0 ? Infinity : start + length,
    owner: lockOwner(state.id, clientId, processId),
    processId,
    clientId,
    through: fid,
  }
}
