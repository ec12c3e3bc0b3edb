import type { Clock } from './clock'
import { checksum, type Ipv4Packet } from './packet'

/** How long the pieces of a datagram are waited for, milliseconds (RFC 791 names 15 s, RFC 1122 60 to 120 s). */
const WAIT_MS = 30_000
/** A piece that is not the last carries at least what the least MTU of 68 leaves; less is an attack, not a network. */
const PIECE_LEAST = 48
const DATAGRAM_MOST = 0xffff

export interface ReassemblyLimits {
  /** Datagrams that are waited for at a time. */
  datagrams: number
  /** Bytes that their pieces hold together. */
  bytes: number
}

interface Piece {
  from: number
  bytes: Buffer
}

interface Waiting {
  readonly since: number
  /** In order, without overlap. */
  readonly pieces: Piece[]
  /** What the pieces hold together. */
  bytes: number
  /** Where the last piece ends; unknown until it has come. */
  total: number | null
  /** Header of the first piece; its options count against the longest datagram. */
  header: Buffer | null
  /** It contradicted itself: nothing more of it is taken until its time is over. */
  spoilt: boolean
}

/**
 * Puts the fragments of one guest together (RFC 791, 3.2). Pieces that overlap spoil the datagram (RFC 5722 says so
 * for IPv6, and no sender has a reason to); an exact repetition is ignored. When there is no room the oldest goes.
 */
export class Reassembler {
  private readonly waiting = new Map<string, Waiting>()
  private bytes = 0
  private stopTimer: (() => void) | null = null

  constructor(
    private readonly clock: Clock,
    private readonly limits: ReassemblyLimits = { datagrams: 32, bytes: 512 * 1024 },
  ) {}

  /**
   * Takes a fragment, of which it copies what it keeps. Returns the whole IPv4 packet, its header like that of the
   * first piece but for length, fragment fields and checksum, when this was the last that was missing; else null.
   */
  add(packet: Ipv4Packet): Buffer | null {
    this.expire()
    const key = `${packet.source}/${packet.destination}/${packet.protocol}/${packet.id}`
    const datagram = this.waiting.get(key) ?? this.begin(key)
    if (datagram.spoilt) return null
    const taken = take(datagram, packet)
    if (taken === null) {
      this.spoil(datagram)
      return null
    }
    datagram.bytes += taken
    this.bytes += taken
    const whole = joined(datagram)
    if (whole) this.drop(key, datagram)
    else while (this.bytes > this.limits.bytes) this.dropOldest()
    return whole
  }

  /** Forgets everything. */
  clear(): void {
    this.stopTimer?.()
    this.stopTimer = null
    this.waiting.clear()
    this.bytes = 0
  }

  /** What it holds at the moment. */
  counts(): { datagrams: number; bytes: number } {
    return { datagrams: this.waiting.size, bytes: this.bytes }
  }

  private begin(key: string): Waiting {
    if (this.waiting.size >= this.limits.datagrams) this.dropOldest()
    const datagram = { since: this.clock.now(), pieces: [], bytes: 0, total: null, header: null, spoilt: false }
    this.waiting.set(key, datagram)
    this.stopTimer ??= this.clock.later(WAIT_MS, this.onTime)
    return datagram
  }

  private spoil(datagram: Waiting): void {
    this.bytes -= datagram.bytes
    datagram.bytes = 0
    datagram.pieces.length = 0
    datagram.header = null
    datagram.spoilt = true
  }

  private drop(key: string, datagram: Waiting): void {
    this.bytes -= datagram.bytes
    this.waiting.delete(key)
  }

  private dropOldest(): void {
    for (const [key, datagram] of this.waiting) return this.drop(key, datagram)
  }

  private expire(): void {
    const before = this.clock.now() - WAIT_MS
    for (const [key, datagram] of this.waiting) {
      if (datagram.since > before) return // in the order of their beginning
      this.drop(key, datagram)
    }
  }

  private readonly onTime = (): void => {
    this.expire()
    this.stopTimer = this.waiting.size > 0 ? this.clock.later(WAIT_MS, this.onTime) : null
  }
}

/** Puts a piece in its place; returns how many bytes it added, null when it cannot be a piece of this datagram. */
function take(datagram: Waiting, packet: Ipv4Packet): number | null {
  const { fragmentOffset: from, moreFragments, payloadAt, end, buffer } = packet
  const bytes = end - payloadAt
  const to = from + bytes
  if (moreFragments ? bytes % 8 !== 0 || bytes < PIECE_LEAST : bytes === 0) return null
  if (to > DATAGRAM_MOST - (payloadAt - packet.at)) return null
  const { pieces } = datagram
  if (!moreFragments && datagram.total !== null && datagram.total !== to) return null
  const total = moreFragments ? datagram.total : to
  const last = pieces.at(-1)
  if (total !== null && (to > total || (last && endOf(last) > total))) return null

  const next = placeOf(pieces, from)
  const after = pieces[next]
  const before = pieces[next - 1]
  if (after?.from === from && after.bytes.equals(buffer.subarray(payloadAt, end))) return 0
  if ((after && to > after.from) || (before && endOf(before) > from)) return null
  datagram.total = total
  if (from === 0) datagram.header = Buffer.from(buffer.subarray(packet.at, payloadAt))
  pieces.splice(next, 0, { from, bytes: Buffer.from(buffer.subarray(payloadAt, end)) })
  return bytes
}

/** Index of the first piece that begins at `from` or later. */
function placeOf(pieces: readonly Piece[], from: number): number {
  let low = 0
  let high = pieces.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (pieces[middle]!.from < from) low = middle + 1
    else high = middle
  }
  return low
}

function endOf(piece: Piece): number {
  return piece.from + piece.bytes.length
}

/** The whole packet, or null while a piece is missing. */
function joined({ pieces, bytes, total, header }: Waiting): Buffer | null {
  if (bytes !== total || !header || header.length + total > DATAGRAM_MOST) return null
  const whole = Buffer.concat([header, ...pieces.map((piece) => piece.bytes)])
  whole.writeUInt16BE(whole.length, 2)
  whole.writeUInt16BE(0, 6)
  whole.writeUInt16BE(0, 10)
  whole.writeUInt16BE(checksum(whole, 0, header.length), 10)
  return whole
}
