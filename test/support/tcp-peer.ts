import type { Clock } from '../../vmm/net/clock'
import { readWire, wireFrame, type WireEnds, type WireSegment } from './tcp-wire'

const MSS = 1460
const SCALE = 7
const TIMEOUT_MS = 200
const WRAP = 2n ** 32n

interface Sent {
  /** Place of its first byte, the SYN being 0. */
  at: number
  end: number
  flags: string
  payload: Buffer
  sentAt: number
  reported: boolean
}

export interface PeerOptions {
  clock: Clock
  ends: WireEnds
  ports: { guest: number; peer: number }
  emit: (frame: Buffer) => void
  /** First sequence number. */
  first?: number
  sack?: boolean
  scaled?: boolean
  /** Room for what the application has not read, bytes. */
  buffer?: number
}

/**
 * A guest's TCP, written from the RFCs for the tests alone. It counts in places from its SYN on, not in sequence
 * numbers, and knows but one way to find a loss: three segments beyond it are reported, or 200 ms pass.
 */
export class TcpPeer {
  state: 'closed' | 'calling' | 'answering' | 'open' | 'reset' = 'closed'
  /** What the application has read. */
  received: Buffer[] = []
  receivedBytes = 0
  /** Whether the other side has ended. */
  ended = false
  /** Whether the application reads. */
  reads = true
  acknowledgements = 0
  /** Every segment that came. */
  heard = 0
  readonly #first: bigint
  #otherFirst: bigint | null = null
  /** Places: of what was acknowledged, of what was sent, and of what is awaited. */
  #una = 0
  #nxt = 0
  #awaited = 0
  #windowEnd = 0
  #otherScale = 0
  #otherSack = false
  #unsent: Buffer[] = []
  #unsentBytes = 0
  #finQueued = false
  #finSent = false
  #sent: Sent[] = []
  #early = new Map<number, Buffer>()
  #newest = 0
  #otherFin: number | null = null
  #unread: Buffer[] = []
  #unreadBytes = 0
  #progressAt = 0
  #stop = (): void => {}
  #finAcked = false

  constructor(private readonly options: PeerOptions) {
    this.#first = BigInt(options.first ?? options.clock.random32())
  }

  connect(): void {
    this.state = 'calling'
    this.#transmit('S', Buffer.alloc(0))
    this.#wake()
  }

  write(data: Buffer): void {
    for (let at = 0; at < data.length; at += MSS) this.#unsent.push(data.subarray(at, at + MSS))
    this.#unsentBytes += data.length
    this.#pump()
  }

  end(): void {
    this.#finQueued = true
    this.#pump()
  }

  reset(): void {
    this.state = 'reset'
    this.#emit({ sequence: this.#number(this.#nxt), flags: 'RA' })
    this.#stop()
  }

  /** The application reads all that there is. */
  read(): void {
    const closed = this.#window() < MSS
    this.received.push(...this.#unread)
    this.receivedBytes += this.#unreadBytes
    this.#unread = []
    this.#unreadBytes = 0
    if (closed && this.state === 'open') this.#acknowledge()
  }

  /** Whether all that was written, and the end, has been acknowledged. */
  get finished(): boolean {
    return this.#finAcked
  }

  get unacknowledged(): number {
    return this.#unsentBytes + this.#sent.reduce((sum, { payload }) => sum + payload.length, 0)
  }

  take(frame: Buffer): void {
    const segment = readWire(frame)
    this.heard++
    if (this.state === 'reset') return
    if (segment.flags.includes('R')) {
      this.state = 'reset'
      this.#stop()
      return
    }
    if (segment.flags.includes('S')) this.#takeSyn(segment)
    if (this.#otherFirst === null || !segment.flags.includes('A')) return
    this.#takeAcknowledgement(segment)
    if (this.state !== 'open') return
    const length = segment.payload.length + (segment.flags.includes('F') ? 1 : 0)
    if (length > 0) this.#takeData(segment)
    else if (this.#placeOf(segment.sequence) < this.#awaited) this.#acknowledge()
    this.#pump()
  }

  #takeSyn(segment: WireSegment): void {
    const again = this.#otherFirst !== null
    this.#otherFirst = BigInt(segment.sequence)
    if (again) return this.#acknowledge()
    this.#awaited = 1
    const scale = segment.options.find(([kind]) => kind === 3)
    this.#otherScale = scale ? scale[1][0]! : 0
    this.#otherSack = segment.options.some(([kind]) => kind === 4)
    if (this.state === 'closed') {
      this.state = 'answering'
      this.#transmit('SA', Buffer.alloc(0))
      this.#wake()
    } else {
      this.state = 'open'
      this.#acknowledge()
    }
  }

  #takeAcknowledgement(segment: WireSegment): void {
    const place = Number((BigInt(segment.acknowledged) - this.#first + 2n * WRAP) % WRAP)
    const acknowledged = place + Math.round((this.#una - place) / 2 ** 32) * 2 ** 32
    if (acknowledged > this.#nxt) throw new Error('acknowledges what was not sent')
    if (this.state === 'answering' && acknowledged > 0) this.state = 'open'
    if (acknowledged > this.#una) {
      this.#una = acknowledged
      this.#progressAt = this.options.clock.now()
      this.#sent = this.#sent.filter(({ end }) => end > acknowledged)
      if (this.#finSent && acknowledged === this.#nxt) this.#finAcked = true
    }
    const scale = segment.flags.includes('S') ? 0 : this.#otherScale
    if (acknowledged >= this.#una)
      this.#windowEnd = Math.max(this.#windowEnd, acknowledged + segment.window * 2 ** scale)
    const [, reports] = segment.options.find(([kind]) => kind === 5) ?? [5, Buffer.alloc(0)]
    for (let at = 0; at < reports.length; at += 8) {
      const left = acknowledged + ((reports.readUInt32BE(at) - segment.acknowledged) >>> 0)
      const right = acknowledged + ((reports.readUInt32BE(at + 4) - segment.acknowledged) >>> 0)
      for (const sent of this.#sent) if (sent.at >= left && sent.end <= right) sent.reported = true
    }
    this.#resendHoles()
  }

  #resendHoles(): void {
    const last = this.#sent.findLastIndex(({ reported }) => reported)
    const beyond = this.#sent.filter(({ reported }) => reported).length
    if (beyond < 3) return
    const now = this.options.clock.now()
    for (const sent of this.#sent.slice(0, last)) {
      if (sent.reported || now - sent.sentAt < 20) continue
      sent.sentAt = now
      this.#repeat(sent)
    }
  }

  #takeData(segment: WireSegment): void {
    const at = this.#placeOf(segment.sequence)
    const end = at + segment.payload.length
    if (segment.flags.includes('F')) this.#otherFin = end
    if (end - this.#awaited > this.#window() + MSS) throw new Error('sent beyond the window')
    if (end > this.#awaited) this.#early.set(at, segment.payload)
    this.#newest = at
    for (let moved = true; moved;) {
      moved = false
      for (const [from, data] of this.#early) {
        if (from > this.#awaited) continue
        this.#early.delete(from)
        if (from + data.length <= this.#awaited) continue
        const fresh = data.subarray(this.#awaited - from)
        this.#unread.push(fresh)
        this.#unreadBytes += fresh.length
        this.#awaited = from + data.length
        moved = true
      }
    }
    if (this.#otherFin === this.#awaited && !this.ended) {
      this.#awaited++
      this.ended = true
    }
    this.#acknowledge()
    if (this.reads) this.read()
  }

  #pump(): void {
    if (this.state !== 'open') return
    while (this.#unsent[0] && this.#nxt + this.#unsent[0].length <= this.#windowEnd) {
      const payload = this.#unsent.shift()!
      this.#unsentBytes -= payload.length
      this.#transmit('PA', payload)
    }
    if (this.#finQueued && !this.#finSent && this.#unsent.length === 0) {
      this.#finSent = true
      this.#transmit('FA', Buffer.alloc(0))
    }
  }

  #transmit(flags: string, payload: Buffer): void {
    const length = payload.length + (/[SF]/.test(flags) ? 1 : 0)
    const sentAt = this.options.clock.now()
    if (this.#sent.length === 0) this.#progressAt = sentAt
    const sent = { at: this.#nxt, end: this.#nxt + length, flags, payload, sentAt, reported: false }
    this.#sent.push(sent)
    this.#nxt += length
    this.#repeat(sent)
  }

  #repeat({ at, flags, payload }: Sent): void {
    const options: [number, Buffer][] = []
    if (flags.includes('S')) {
      options.push([2, Buffer.from([MSS >> 8, MSS & 255])])
      if (this.options.sack !== false) options.push([4, Buffer.alloc(0)])
      if (this.options.scaled !== false) options.push([3, Buffer.from([SCALE])])
    }
    this.#emit({ sequence: this.#number(at), flags, payload, options })
  }

  /** Nothing has come for long: all that was not reported goes again, and a closed window is asked about. */
  #wake(): void {
    this.#stop()
    this.#stop = this.options.clock.later(TIMEOUT_MS / 4, () => {
      const now = this.options.clock.now()
      if (now - this.#progressAt >= TIMEOUT_MS) {
        this.#progressAt = now
        const lost = this.#sent.filter(({ reported }) => !reported).slice(0, 20)
        for (const sent of lost) {
          sent.sentAt = now
          this.#repeat(sent)
        }
        if (lost.length === 0 && this.#unsentBytes > 0)
          this.#emit({ sequence: this.#number(this.#una - 1), flags: 'A' })
      }
      this.#wake()
    })
  }

  #acknowledge(): void {
    this.acknowledgements++
    const runs: [number, number][] = []
    for (const [from, data] of [...this.#early].sort(([one], [other]) => one - other)) {
      const run = runs.at(-1)
      if (run && run[1] >= from) run[1] = Math.max(run[1], from + data.length)
      else runs.push([from, from + data.length])
    }
    const newest = runs.findIndex(([from, end]) => from <= this.#newest && this.#newest < end)
    if (newest > 0) runs.unshift(...runs.splice(newest, 1))
    const content = Buffer.alloc(Math.min(runs.length, 4) * 8)
    for (const [index, edge] of runs.slice(0, 4).flat().entries())
      content.writeUInt32BE(this.#otherNumber(edge), index * 4)
    const reports = this.#otherSack && this.options.sack !== false && content.length > 0
    this.#emit({ sequence: this.#number(this.#nxt), flags: 'A', options: reports ? [[5, content]] : [] })
  }

  #emit(segment: Partial<WireSegment>): void {
    const { ends, ports, emit, scaled } = this.options
    const shift = scaled === false || segment.flags?.includes('S') ? 0 : SCALE
    emit(
      wireFrame(ends, {
        acknowledged: this.#otherFirst === null ? 0 : this.#otherNumber(this.#awaited),
        ...segment,
        sourcePort: ports.guest,
        destinationPort: ports.peer,
        window: Math.min(0xffff, this.#window() >> shift),
      }),
    )
  }

  #window(): number {
    return Math.max(0, (this.options.buffer ?? 2 ** 20) - this.#unreadBytes)
  }

  #number(place: number): number {
    return Number((this.#first + BigInt(place) + WRAP) % WRAP)
  }

  #otherNumber(place: number): number {
    return Number((this.#otherFirst! + BigInt(place) + WRAP) % WRAP)
  }

  /** The place nearest to what is awaited that a sequence number of the other side can mean. */
  #placeOf(sequence: number): number {
    const place = Number((BigInt(sequence) - this.#otherFirst! + WRAP) % WRAP)
    return place + Math.round((this.#awaited - place) / 2 ** 32) * 2 ** 32
  }
}
