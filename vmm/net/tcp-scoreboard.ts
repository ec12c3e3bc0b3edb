import { distance, earlier, isBefore, later, plus } from './tcp-sequence'

/** Sequence numbers that were sent together and have had the same fate since. */
export interface SentRange {
  from: number
  end: number
  /** When it was sent last, milliseconds. */
  sentAt: number
  resent: boolean
  sacked: boolean
  /** Held for lost and not sent again since. */
  lost: boolean
}

/** Ranges of one connection; a guest that acknowledges in crumbs makes no more. */
const RANGES_MOST = 4096
/** So many segments beyond a hole mean that it is one, and no reordering. (RFC 8985, 6.2) */
const SEGMENTS_BEYOND = 3

/**
 * What is on its way to the guest: what of it the guest reports to have (SACK, RFC 2018), and what is lost by the
 * order of sending times (RACK, RFC 8985).
 */
export class Scoreboard {
  #ranges: SentRange[] = []
  /** Bytes sent that are neither acknowledged, nor reported, nor held for lost. */
  inFlight = 0
  lostBytes = 0
  sackedBytes = 0
  /** The range sent last of those that have arrived: when it was sent, where it ends, its round-trip time. */
  #newest = { sentAt: -Infinity, end: 0, roundTrip: 0 }
  /** Shortest round-trip time of what was sent once, milliseconds. */
  #shortest = Infinity
  /** End of what the guest reported that lies furthest. */
  #furthest = 0
  /** Whether frames have been seen to overtake each other. */
  #reordered = false

  constructor(private readonly mss: number) {}

  get empty(): boolean {
    return this.#ranges.length === 0
  }

  get full(): boolean {
    return this.#ranges.length >= RANGES_MOST
  }

  /** The first of the lost ranges, which is sent again first. */
  get firstLost(): SentRange | undefined {
    return this.lostBytes === 0 ? undefined : this.#ranges.find(({ lost }) => lost)
  }

  get last(): SentRange | undefined {
    return this.#ranges.at(-1)
  }

  sent(from: number, end: number, now: number): void {
    this.inFlight += distance(from, end)
    const last = this.#ranges.at(-1)
    if (last?.sentAt === now && last.end === from && !last.resent && !last.sacked && !last.lost) last.end = end
    else this.#ranges.push({ from, end, sentAt: now, resent: false, sacked: false, lost: false })
  }

  /** The first `bytes` of `range` are sent once more. */
  resent(range: SentRange, bytes: number, now: number): void {
    const part = this.#cut(this.#ranges.indexOf(range), plus(range.from, bytes))
    if (part.lost) {
      this.lostBytes -= bytes
      this.inFlight += bytes
    }
    part.lost = false
    part.resent = true
    part.sentAt = now
  }

  /**
   * Everything before `acknowledged` has arrived. Returns the round-trip time of the last of what was sent once,
   * milliseconds; -1 when nothing was.
   */
  acknowledge(acknowledged: number, now: number): number {
    let roundTrip = -1
    let whole = 0
    for (const range of this.#ranges) {
      if (!isBefore(range.from, acknowledged)) break
      if (!range.sacked) {
        if (!range.resent) roundTrip = now - range.sentAt
        this.#arrived(range, now)
      }
      const part = isBefore(acknowledged, range.end)
      this.#count(range, -distance(range.from, part ? acknowledged : range.end))
      if (part) range.from = acknowledged
      else whole++
    }
    if (whole > 0) this.#ranges.splice(0, whole)
    return roundTrip
  }

  /** The guest reports to have what is between the two. */
  sack(left: number, right: number, now: number): void {
    const first = this.#ranges[0]
    const last = this.#ranges.at(-1)
    if (!first || !last || !isBefore(left, right) || this.full) return
    // a report of what is acknowledged already tells of a second copy: nothing was lost, only late
    if (isBefore(left, first.from)) this.#reordered = true
    const from = later(left, first.from)
    const end = earlier(right, last.end)
    for (let index = this.#indexOf(from); index < this.#ranges.length; index++) {
      const range = this.#ranges[index] as SentRange
      if (!isBefore(range.from, end)) break
      if (range.sacked || !isBefore(from, range.end)) continue
      if (isBefore(range.from, from)) {
        this.#cut(index, from)
        continue
      }
      this.#report(isBefore(end, range.end) ? this.#cut(index, end) : range, now)
    }
  }

  /**
   * Holds what was sent well before something that has arrived for lost. Returns when the next range will be, in
   * milliseconds of the clock; Infinity when none.
   */
  detectLoss(now: number): number {
    if (this.sackedBytes === 0) return Infinity
    const certain = !this.#reordered && this.sackedBytes >= SEGMENTS_BEYOND * this.mss
    const patience =
      this.#newest.roundTrip + (certain ? 0 : Math.max(Math.min(this.#shortest, this.#newest.roundTrip) / 4, 1))
    let next = Infinity
    for (const range of this.#ranges) {
      if (range.sacked || range.lost || !this.#sentBeforeNewest(range)) continue
      if (range.sentAt + patience <= now) this.#lose(range)
      else next = Math.min(next, range.sentAt + patience)
    }
    return next
  }

  /** Nothing came back for long: all that was not reported is lost, or even that if the guest forgot it. */
  loseAll(): void {
    const forgotten = this.#ranges[0]?.sacked === true
    for (const range of this.#ranges) {
      if (range.sacked && forgotten) {
        this.sackedBytes -= distance(range.from, range.end)
        this.inFlight += distance(range.from, range.end)
        range.sacked = false
      }
      if (!range.sacked && !range.lost) this.#lose(range)
    }
  }

  /** The first segment is lost, by what a guest without SACK tells. */
  loseFirst(): void {
    const first = this.#ranges[0]
    if (first === undefined || first.lost || first.sacked) return
    const end = plus(first.from, Math.min(this.mss, distance(first.from, first.end)))
    this.#lose(this.#cut(0, end))
  }

  /** The last `bytes` of what was sent, as a range of their own. */
  tail(bytes: number): SentRange {
    const last = this.#ranges.at(-1) as SentRange
    this.#cut(this.#ranges.length - 1, plus(last.end, -bytes))
    return this.#ranges.at(-1) as SentRange
  }

  clear(): void {
    this.#ranges = []
    this.inFlight = this.lostBytes = this.sackedBytes = 0
  }

  #report(range: SentRange, now: number): void {
    const bytes = distance(range.from, range.end)
    if (isBefore(range.end, this.#furthest) && !range.resent && this.sackedBytes > 0) this.#reordered = true
    if (this.sackedBytes === 0 || isBefore(this.#furthest, range.end)) this.#furthest = range.end
    this.#arrived(range, now)
    this.#count(range, -bytes)
    range.lost = false
    range.sacked = true
    this.sackedBytes += bytes
  }

  #lose(range: SentRange): void {
    const bytes = distance(range.from, range.end)
    this.inFlight -= bytes
    this.lostBytes += bytes
    range.lost = true
  }

  /** Adds `bytes`, which may be negative, to the sum that the range belongs to. */
  #count(range: SentRange, bytes: number): void {
    if (range.sacked) this.sackedBytes += bytes
    else if (range.lost) this.lostBytes += bytes
    else this.inFlight += bytes
  }

  #arrived(range: SentRange, now: number): void {
    const roundTrip = now - range.sentAt
    if (!range.resent) this.#shortest = Math.min(this.#shortest, roundTrip)
    // faster than the path: an answer to the copy that was sent first
    else if (roundTrip < this.#shortest) return
    if (this.#sentBeforeNewest(range)) return
    this.#newest = { sentAt: range.sentAt, end: range.end, roundTrip }
  }

  #sentBeforeNewest(range: SentRange): boolean {
    const { sentAt, end } = this.#newest
    return range.sentAt < sentAt || (range.sentAt === sentAt && isBefore(range.end, end))
  }

  /** Cuts the range at `index` in two at `sequence`, unless that is its end; returns the first part. */
  #cut(index: number, sequence: number): SentRange {
    const range = this.#ranges[index] as SentRange
    if (range.end === sequence) return range
    this.#ranges.splice(index + 1, 0, { ...range, from: sequence })
    range.end = sequence
    return range
  }

  /** The range that holds `sequence`, by halving. */
  #indexOf(sequence: number): number {
    let low = 0
    let high = this.#ranges.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (isBefore(sequence, (this.#ranges[middle] as SentRange).from)) high = middle - 1
      else low = middle
    }
    return low
  }
}
