import { Flight } from './tcp-flight'
import { RoundTrip } from './tcp-round-trip'
import { Scoreboard, type SentRange } from './tcp-scoreboard'
import type { TcpSegment } from './tcp-segment'
import { SendQueue } from './tcp-send-queue'
import { distance, isBefore, plus } from './tcp-sequence'

/** Bytes that are built into frames at a time; whether the way has room is asked as often. */
const BURST_BYTES = 64 * 1024
const DUPLICATES_OF_LOSS = 3
/** Longest pause between two probes of a closed window, milliseconds. */
const PERSIST_MOST_MS = 10_000

/** What carries segments for the sender. */
export interface SenderWay {
  hasRoom(): boolean
  /** Sends a piece of the queue, `bytes` from `offset` on, as whole segments, with a FIN after them if asked. */
  data(sequence: number, piece: { queue: SendQueue; offset: number; bytes: number; mss: number }, fin: boolean): void
  /** Sends an acknowledgement from a sequence number that the guest has long had, which it must answer. */
  probe(sequence: number): void
}

export interface SenderOptions {
  /** The first sequence number after the SYN. */
  first: number
  mss: number
  /** Shift of the windows that the guest announces. */
  scale: number
  sackPermitted: boolean
  /** The guest's window at first, bytes. */
  window: number
}

/** The half of a connection that sends: window, retransmission, probes. (RFC 9293, 6298, 2018, 8985) */
export class TcpSender {
  readonly queue = new SendQueue()
  /** What is sent and not acknowledged begins at `una` and ends at `nxt`. (the names of RFC 9293) */
  una: number
  nxt: number
  /** How often time has run out since the guest was heard last. */
  unanswered = 0
  /** Whether the way to the guest was full when there was something to send. */
  blocked = false
  readonly #roundTrip = new RoundTrip()
  readonly #board: Scoreboard
  readonly #flight: Flight
  readonly #mss: number
  /** The guest's window: where it ends, the largest so far in bytes, and the sequence number of who told of it. */
  #windowEnd: number
  #windowMost: number
  #toldBy: number | null = null
  #fin: 'none' | 'queued' | 'acknowledged' = 'none'
  #duplicates = 0
  /** Loss of what was sent before this has been answered by a lower limit. */
  #recoverUntil: number | null = null
  /** When the guest made progress last or a flight began, and when something was sent last, milliseconds. */
  #progressAt = 0
  #sentAt = 0
  /** Whether a probe for lost last segments is on its way. */
  #probed = false
  /** When the next range will be held for lost. */
  #lossAt = Infinity
  #persistMs = 0

  constructor(
    private readonly options: SenderOptions,
    private readonly way: SenderWay,
  ) {
    this.una = this.nxt = options.first
    this.#mss = options.mss
    this.#board = new Scoreboard(options.mss)
    this.#flight = new Flight(options.mss)
    this.#windowEnd = plus(options.first, options.window)
    this.#windowMost = options.window
  }

  /** Whether the FIN has been sent, and whether it has arrived with all before it. */
  get finSent(): boolean {
    return this.#fin !== 'none' && this.nxt === this.#end
  }

  get finAcknowledged(): boolean {
    return this.#fin === 'acknowledged'
  }

  /** Whether an acknowledgement is older than any that may still be on its way. (RFC 5961, 5) */
  isAncient(acknowledged: number): boolean {
    return distance(acknowledged, this.una) > this.#windowMost
  }

  /** Nothing follows what is queued. */
  finish(): void {
    if (this.#fin === 'none') this.#fin = 'queued'
  }

  /** The sequence number after everything there is to send, a FIN included. */
  get #end(): number {
    return plus(this.una, this.queue.bytes + (this.#fin === 'queued' ? 1 : 0))
  }

  /** Takes acknowledgement, window and SACK of a segment; it acknowledges nothing that was not sent. */
  acknowledged(segment: TcpSegment, now: number): void {
    this.unanswered = 0
    const progress = distance(this.una, segment.acknowledged)
    if (progress < 0) return
    if (progress > 0) this.#progress(progress, now)
    else if (this.#isDuplicate(segment)) this.#duplicates++
    this.#learnWindow(segment, now)
    if (this.options.sackPermitted) this.#learnReports(segment, now)
    else if (this.#duplicates === DUPLICATES_OF_LOSS) this.#board.loseFirst()
    this.#answerLoss()
  }

  /** Sends what window, flight and way have place for. */
  pump(now: number): void {
    this.blocked = false
    for (;;) {
      const lost = this.#board.firstLost
      const bytes = lost ? this.#resendable(lost) : this.#sendable()
      if (bytes === 0) return
      if (!this.way.hasRoom()) {
        this.blocked = true
        return
      }
      if (this.#board.empty) this.#progressAt = now
      if (lost) this.#resend(lost, bytes, now)
      else this.#sendNew(bytes, now)
    }
  }

  /** When `timeOut` has to be called, in milliseconds of the clock; Infinity for never. */
  deadline(): number {
    if (!this.#board.empty) return Math.min(this.#progressAt + this.#roundTrip.timeout, this.#probeAt(), this.#lossAt)
    return this.#waitsForWindow ? this.#persistAt : Infinity
  }

  /** The deadline is here. */
  timeOut(now: number): void {
    if (this.#board.empty) {
      if (this.#waitsForWindow && now >= this.#persistAt) this.#probeWindow(now)
    } else if (now >= this.#lossAt) {
      this.#lossAt = this.#board.detectLoss(now)
      this.#answerLoss()
      this.pump(now)
    } else if (now >= this.#progressAt + this.#roundTrip.timeout) this.#startAgain(now)
    else if (now >= this.#probeAt()) this.#probeTail(now)
  }

  get #waitsForWindow(): boolean {
    return this.nxt !== this.#end && !this.blocked
  }

  get #persistAt(): number {
    return Math.max(this.#progressAt, this.#sentAt) + this.#persistMs
  }

  /** When a flight that stays unanswered is probed by its last segment, once. (RFC 8985, 7) */
  #probeAt(): number {
    const { inFlight, lostBytes } = this.#board
    if (this.#probed || !this.options.sackPermitted || lostBytes > 0 || this.#recoverUntil !== null) return Infinity
    return Math.max(this.#progressAt, this.#sentAt) + this.#roundTrip.probeTimeout(inFlight <= this.#mss)
  }

  #progress(bytes: number, now: number): void {
    const limited = this.#board.inFlight >= this.#flight.limit / 2
    const roundTrip = this.#board.acknowledge(plus(this.una, bytes), now)
    if (roundTrip >= 0) this.#roundTrip.sample(roundTrip)
    this.#roundTrip.progress()
    const data = Math.min(bytes, this.queue.bytes)
    this.queue.drop(data)
    if (bytes > data) this.#fin = 'acknowledged'
    this.una = plus(this.una, bytes)
    this.#progressAt = now
    this.#probed = false
    this.#duplicates = 0
    if (limited) this.#flight.arrived(bytes)
    if (this.#recoverUntil === null) return
    if (!isBefore(this.una, this.#recoverUntil)) this.#recoverUntil = null
    // without SACK an acknowledgement of a part says that the rest has a hole at its beginning (RFC 6582)
    else if (!this.options.sackPermitted) this.#board.loseFirst()
  }

  #isDuplicate(segment: TcpSegment): boolean {
    const end = plus(segment.acknowledged, segment.window << this.options.scale)
    return segment.length === 0 && !this.#board.empty && end === this.#windowEnd
  }

  #learnWindow({ sequence, acknowledged, window }: TcpSegment, now: number): void {
    if (this.#toldBy !== null && isBefore(sequence, this.#toldBy)) return
    this.#toldBy = sequence
    const bytes = window << this.options.scale
    const end = plus(acknowledged, bytes)
    if (isBefore(this.#windowEnd, end)) this.#persistMs = this.#roundTrip.timeout
    if (this.#board.empty) this.#progressAt = now
    this.#windowEnd = end
    this.#windowMost = Math.max(this.#windowMost, bytes)
  }

  #learnReports(segment: TcpSegment, now: number): void {
    for (let block = 0; block < segment.sackBlocks; block++)
      this.#board.sack(segment.sack[block * 2] as number, segment.sack[block * 2 + 1] as number, now)
    this.#lossAt = this.#board.detectLoss(now)
  }

  #answerLoss(): void {
    if (this.#board.lostBytes === 0 || this.#recoverUntil !== null) return
    this.#recoverUntil = this.nxt
    this.#flight.lost(this.#board.inFlight + this.#board.lostBytes + this.#board.sackedBytes)
  }

  #resendable(lost: SentRange): number {
    const { inFlight } = this.#board
    const room = this.#flight.limit - inFlight
    if (room < this.#mss && inFlight > 0) return 0
    const whole = Math.max(room - (room % this.#mss), this.#mss)
    return Math.min(distance(lost.from, lost.end), whole, BURST_BYTES)
  }

  #sendable(): number {
    const unsent = distance(this.nxt, this.#end)
    if (unsent === 0 || this.#board.full) return 0
    const window = distance(this.nxt, this.#windowEnd)
    const possible = Math.min(unsent, window, this.#flight.limit - this.#board.inFlight, BURST_BYTES)
    if (possible >= unsent) return unsent
    if (possible >= this.#mss) return possible - (possible % this.#mss)
    // no crumbs into a window that opens slowly (RFC 9293, 3.8.6.2.1)
    return possible > 0 && possible === window && window >= this.#windowMost / 2 ? possible : 0
  }

  #sendNew(bytes: number, now: number): void {
    const from = this.nxt
    this.nxt = plus(from, bytes)
    this.#send(from, bytes)
    this.#board.sent(from, this.nxt, now)
    this.#sentAt = now
    this.#persistMs = this.#roundTrip.timeout
  }

  #resend(range: SentRange, bytes: number, now: number): void {
    this.#send(range.from, bytes)
    this.#board.resent(range, bytes, now)
    this.#sentAt = now
  }

  #send(from: number, bytes: number): void {
    const offset = distance(this.una, from)
    const data = Math.min(bytes, this.queue.bytes - offset)
    this.way.data(from, { queue: this.queue, offset, bytes: data, mss: this.#mss }, bytes > data)
  }

  #probeTail(now: number): void {
    this.#probed = true
    this.#progressAt = now
    const last = this.#board.last
    if (!last || last.sacked || !this.way.hasRoom()) return
    const bytes = distance(last.from, last.end)
    const tail = bytes > this.#mss ? this.#board.tail(this.#mss) : last
    this.#resend(tail, distance(tail.from, tail.end), now)
  }

  #probeWindow(now: number): void {
    if (this.way.hasRoom()) {
      this.unanswered++
      this.way.probe(plus(this.una, -1))
    }
    this.#sentAt = now
    this.#persistMs = Math.min(Math.max(this.#persistMs * 2, this.#roundTrip.timeout), PERSIST_MOST_MS)
  }

  /** Nothing has come for a whole time-out. Frames that the guest has not been given yet prove nothing, though. */
  #startAgain(now: number): void {
    this.#progressAt = now
    if (!this.way.hasRoom()) return
    this.unanswered++
    this.#roundTrip.backOff()
    this.#flight.timedOut(this.#board.inFlight + this.#board.lostBytes)
    this.#board.loseAll()
    this.#lossAt = Infinity
    this.#recoverUntil = this.nxt
    this.pump(now)
  }
}
