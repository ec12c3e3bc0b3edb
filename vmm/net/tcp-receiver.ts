import { Reassembly } from './tcp-reassembly'
import { FLAG, type TcpSegment } from './tcp-segment'
import { distance, earlier, isBefore, later, plus } from './tcp-sequence'

/** Takes what the guest sent, in order. */
export interface ReceiverSink {
  /** Copies the bytes before it returns. */
  push(buffer: Buffer, at: number, end: number): void
  /** Bytes that it has not got rid of yet. */
  readonly pending: number
}

/** What may be kept at the moment: all, only what comes in order, or nothing. */
export type Keeping = 'all' | 'in order' | 'nothing'

/** The half of a connection that receives: window, reassembly, and which acknowledgements are due. (RFC 9293, 2018) */
export class TcpReceiver {
  readonly early = new Reassembly()
  /** The sequence number that is awaited. */
  next: number
  /** Whether the guest's FIN has come with all before it. */
  finished = false
  /** Bytes that came in order since the last acknowledgement. */
  owed = 0
  /** Whether an acknowledgement must go at once, and how many segments came out of order since the last. */
  urgent = false
  disordered = 0
  /** End of the window that was announced; it never moves back. */
  #edge: number
  #finAt: number | null = null

  constructor(
    first: number,
    /** Shift of the windows that we announce, and the guest's largest segment. */
    private readonly scale: number,
    private readonly mss: number,
    private readonly sink: ReceiverSink,
  ) {
    this.next = this.#edge = first
  }

  /** Whether a segment has something to do with the window. (RFC 9293, 3.10.7.4) */
  isAcceptable(segment: TcpSegment): boolean {
    const { sequence, length } = segment
    if (length === 0) return !isBefore(sequence, this.next) && !isBefore(this.#edge, sequence)
    return isBefore(sequence, this.#edge) && isBefore(this.next, segment.next)
  }

  /** Takes payload and FIN of an acceptable segment; returns whether that was the last there will be. */
  accept(segment: TcpSegment, keeping: Keeping): boolean {
    const { sequence, buffer, payloadAt, payloadBytes } = segment
    const last = plus(sequence, payloadBytes)
    const fin = (segment.flags & FLAG.fin) !== 0
    if (fin && this.#finAt === null && !isBefore(last, this.next) && !isBefore(this.#edge, last)) this.#finAt = last
    const from = later(sequence, this.next)
    const end = earlier(earlier(last, this.#edge), this.#finAt ?? last)
    if (fin || isBefore(sequence, this.next)) this.urgent = true
    if (isBefore(from, end) && keeping !== 'nothing') {
      const at = payloadAt + distance(sequence, from)
      if (from === this.next) this.#push(buffer, at, at + distance(from, end))
      else {
        this.urgent = true
        this.disordered++
        if (keeping === 'all') this.early.add(from, buffer, at, at + distance(from, end))
      }
    } else if (payloadBytes > 0) this.urgent = true
    if (this.#finAt !== this.next) return false
    this.next = plus(this.next, 1)
    this.finished = true
    this.early.clear()
    return true
  }

  /** The window to announce now, in bytes at most `most`, scaled for a header; the guest is held to it from now on. */
  announce(most: number): number {
    const edge = plus(this.next, Math.max(0, most - this.sink.pending))
    // crumbs are not announced (RFC 9293, 3.8.6.2.2)
    if (distance(this.#edge, edge) >= this.mss) this.#edge = edge
    this.owed = this.disordered = 0
    this.urgent = false
    return Math.min(distance(this.next, this.#edge) >>> this.scale, 0xffff)
  }

  /** Whether the window has grown by so much that the guest should hear of it. */
  hasOpened(most: number): boolean {
    const free = most - this.sink.pending
    const gain = free - distance(this.next, this.#edge)
    return gain >= most / 4
  }

  #push(buffer: Buffer, at: number, end: number): void {
    this.sink.push(buffer, at, end)
    this.next = plus(this.next, end - at)
    this.owed += end - at
    if (this.early.empty) return
    // a hole was filled, or a part of it: that is told at once
    this.urgent = true
    for (let piece = this.early.take(this.next); piece; piece = this.early.take(this.next)) {
      this.sink.push(piece, 0, piece.length)
      this.next = plus(this.next, piece.length)
    }
  }
}
