import { decode, encode, NO_FID, type Fields, type RequestName } from '../files/ninep-messages'
import { WALK_MOST } from '../files/ninep-wire'
import type { FollowedFid, FollowedFids } from './embedded-ninep-fids'

/** Sends a request and resolves with the reply, or null where the connection ended. */
export type AskServer = (request: Uint8Array) => Promise<Uint8Array | null>

const TAG = 0

/**
 * Has a new connection's fids be what the guest holds: version, attaches, walks, openings, locks. Resolves with the
 * fids that could not be had again, or null where the connection ended or the server will not speak with us.
 */
export async function replayFids(fids: FollowedFids, ask: AskServer): Promise<Set<number> | null> {
  const connection = { ended: false }
  const did = async <N extends RequestName>(name: N, fields: Fields<N>): Promise<boolean> => {
    const reply = connection.ended ? null : await ask(encode(name, TAG, fields))
    if (reply === null) connection.ended = true
    return reply !== null && isDone(reply, fields)
  }
  if (!(await did('Tversion', { msize: fids.msize!, version: '9P2000.L' }))) return null
  const lost = new Set<number>()
  const tops = new Map<string, number>()
  let free = NO_FID - 1

  const topOf = async ({ attachment }: FollowedFid): Promise<number | null> => {
    const key = JSON.stringify(attachment)
    const known = tops.get(key)
    if (known !== undefined) return known
    while (fids.has(free)) free--
    const fid = free--
    if (!(await did('Tattach', { fid, afid: NO_FID, ...attachment }))) return null
    tops.set(key, fid)
    return fid
  }
  const again = async (fid: number, followed: FollowedFid): Promise<boolean> => {
    const path = followed.place?.path
    if (!path) return false
    const top = await topOf(followed)
    if (top === null || !(await walk(top, fid, path))) return false
    return followed.flags === null || (await did('Tlopen', { fid, flags: followed.flags }))
  }
  const walk = async (top: number, newFid: number, path: string[]): Promise<boolean> => {
    if (!(await did('Twalk', { fid: top, newFid, names: [] }))) return false
    for (let at = 0; at < path.length; at += WALK_MOST) {
      // a fid that walks to itself stays where it was when a step fails
      if (!(await did('Twalk', { fid: newFid, newFid, names: path.slice(at, at + WALK_MOST) }))) return false
    }
    return true
  }

  for (const [fid, followed] of fids.entries) {
    if (await again(fid, followed)) continue
    lost.add(fid)
    await did('Tclunk', { fid }) // it may have come a part of the way
  }
  for (const lock of fids.locks) if (!lost.has(lock.fid)) await did('Tlock', lock)
  for (const fid of tops.values()) await did('Tclunk', { fid })
  return connection.ended ? null : lost
}

function isDone(bytes: Uint8Array, request: object): boolean {
  const reply = decode(bytes)
  if (reply.message === 'Rwalk' && 'names' in request) return reply.qids.length === (request.names as string[]).length
  return reply.message !== 'Rlerror'
}
