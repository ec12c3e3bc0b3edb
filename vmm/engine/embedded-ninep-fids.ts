import * as v from 'valibot'
import { OPEN_FLAG } from '../files/ninep-fids'
import { LOCK } from '../files/ninep-locks'
import type { Fields, Message, Request } from '../files/ninep-messages'
import { Place } from './embedded-ninep-places'

/** Flags that were for the first opening only. */
const ONCE = OPEN_FLAG.truncate | OPEN_FLAG.exclusive | 0o100
const LOCKS_MOST = 16_384

const AttachmentSchema = v.object({ aname: v.string(), uname: v.string(), uid: v.number() })
const LockSchema = v.object({
  ...{ fid: v.number(), type: v.number(), flags: v.number(), start: v.number(), length: v.number() },
  ...{ processId: v.number(), clientId: v.string() },
})
const HeldSchema = v.object({
  msize: v.nullable(v.number()),
  fids: v.array(
    v.object({
      fid: v.number(),
      attachment: AttachmentSchema,
      path: v.nullable(v.array(v.string())),
      flags: v.nullable(v.number()),
    }),
  ),
  locks: v.array(LockSchema),
})
/** What a guest holds, as it is kept beside the machine's state: plain JSON. */
export type HeldFids = v.InferOutput<typeof HeldSchema>
type Attachment = v.InferOutput<typeof AttachmentSchema>

/** One of the guest's handles: how to get it again. */
export interface FollowedFid {
  attachment: Attachment
  /** Null for what no name leads to. */
  place: Place | null
  /** Flags of open(2), when it is open. */
  flags: number | null
}

/**
 * Knows what a guest holds at its server by following what passes between them, so that it can be had again from
 * another server, or after the machine was put back to a saved state.
 */
export class FollowedFids {
  msize: number | null = null
  readonly #fids = new Map<number, FollowedFid>()
  readonly #tops = new Map<string, Place>()
  #locks: Fields<'Tlock'>[] = []

  static read(json: string): FollowedFids {
    const held = v.parse(HeldSchema, JSON.parse(json))
    const fids = new FollowedFids()
    fids.msize = held.msize
    for (const { fid, attachment, path, flags } of held.fids) {
      const place = path?.reduce((at, name) => at.child(name), fids.#top(attachment.aname)) ?? null
      fids.#set(fid, { attachment, place, flags })
    }
    fids.#locks = held.locks
    return fids
  }

  toJson(): string {
    const fids = [...this.#fids].map(([fid, { attachment, place, flags }]) => {
      return { fid, attachment, path: place?.path ?? null, flags }
    })
    return JSON.stringify({ msize: this.msize, fids, locks: this.#locks } satisfies HeldFids)
  }

  get entries(): [number, FollowedFid][] {
    return [...this.#fids]
  }

  get locks(): readonly Fields<'Tlock'>[] {
    return this.#locks
  }

  has(fid: number): boolean {
    return this.#fids.has(fid)
  }

  clear(): void {
    this.msize = null
    this.#fids.clear()
    this.#tops.clear()
    this.#locks = []
  }

  forget(fid: number): void {
    this.#fids.get(fid)?.place?.drop()
    this.#fids.delete(fid)
    this.#locks = this.#locks.filter((lock) => lock.fid !== fid)
  }

  /** Takes note of what a reply means. */
  follow(request: Request, reply: Message): void {
    const done = reply.message !== 'Rlerror'
    if (request.message === 'Tclunk' || request.message === 'Tremove') {
      if (done && request.message === 'Tremove') this.#place(request.fid)?.remove()
      this.forget(request.fid)
    } else if (done) this.#followDone(request, reply)
  }

  #followDone(request: Request, reply: Message): void {
    switch (request.message) {
      case 'Tversion':
        this.clear()
        this.msize = reply.message === 'Rversion' && reply.version === request.version ? reply.msize : null
        break
      case 'Tattach': {
        const { aname, uname, uid } = request
        this.#set(request.fid, { attachment: { aname, uname, uid }, place: this.#top(aname), flags: null })
        break
      }
      case 'Twalk':
        if (reply.message === 'Rwalk' && reply.qids.length === request.names.length) this.#walk(request)
        break
      case 'Txattrwalk':
        this.#another(request.fid, request.newFid, null)
        break
      case 'Txattrcreate':
        this.#another(request.fid, request.fid, null)
        break
      case 'Tlopen':
      case 'Tlcreate':
        this.#open(request)
        break
      case 'Tunlinkat':
        this.#place(request.fid)?.children.get(request.name)?.remove()
        break
      case 'Trenameat':
        this.#move(this.#place(request.fid)?.children.get(request.name), request.toFid, request.toName)
        break
      case 'Trename':
        this.#move(this.#place(request.fid), request.toFid, request.name)
        break
      case 'Tlock':
        if (reply.message === 'Rlock' && reply.status === 0) this.#lock(request)
    }
  }

  #walk({ fid, newFid, names }: Request<'Twalk'>): void {
    const place = names.reduce<Place | null>((at, name) => at?.child(name) ?? null, this.#place(fid))
    this.#another(fid, newFid, place)
  }

  #open(request: Request<'Tlopen'> | Request<'Tlcreate'>): void {
    const from = this.#fids.get(request.fid)
    if (from === undefined) return
    if (request.message === 'Tlcreate') this.#another(request.fid, request.fid, from.place?.child(request.name) ?? null)
    const fid = this.#fids.get(request.fid)
    if (fid !== undefined) fid.flags = request.flags & ~ONCE
  }

  #another(from: number, fid: number, place: Place | null): void {
    const attachment = this.#fids.get(from)?.attachment
    if (attachment !== undefined) this.#set(fid, { attachment, place, flags: null })
  }

  #set(number: number, fid: FollowedFid): void {
    fid.place?.hold()
    this.#fids.get(number)?.place?.drop()
    this.#fids.set(number, fid)
  }

  #place(fid: number): Place | null {
    return this.#fids.get(fid)?.place ?? null
  }

  #move(place: Place | null | undefined, toFid: number, name: string): void {
    const folder = this.#place(toFid)
    if (folder === null) place?.remove()
    else if (place) place.move(folder, name)
    else folder.children.get(name)?.remove()
  }

  /** A lock within this one is of no account any more. */
  #lock({ fid, type, start, length, processId, clientId }: Request<'Tlock'>): void {
    const end = endOf(start, length)
    const overlapping = (lock: Fields<'Tlock'>) => lock.start < end && endOf(lock.start, lock.length) > start
    const own = (lock: Fields<'Tlock'>) => lock.processId === processId && lock.clientId === clientId
    this.#locks = this.#locks.filter((lock) => {
      return !(own(lock) && lock.start >= start && endOf(lock.start, lock.length) <= end)
    })
    const needed = type !== LOCK.none || this.#locks.some((lock) => own(lock) && overlapping(lock))
    if (needed && this.#locks.length < LOCKS_MOST) {
      this.#locks.push({ fid, type, flags: 0, start, length, processId, clientId })
    }
  }

  #top(aname: string): Place {
    let top = this.#tops.get(aname)
    if (top === undefined) this.#tops.set(aname, (top = new Place().hold()))
    return top
  }
}

const endOf = (start: number, length: number): number => (length === 0 ? Infinity : start + length)
