import { readIpv4 } from '../../vmm/net/packet'
import { TcpConnection } from '../../vmm/net/tcp-connection'
import { TcpSegment } from '../../vmm/net/tcp-segment'
import { SimulatedClock } from './simulated-clock'
import { GUEST, HOST, HostDouble, PATH } from './tcp-line'
import { readWire, wireFrame, type WireSegment } from './tcp-wire'

export const SYN_OPTIONS: [number, Buffer][] = [
  [2, Buffer.from([5, 180])],
  [4, Buffer.alloc(0)],
  [3, Buffer.from([7])],
]

/** An endpoint of ours before a guest that says what a test tells it to, segment by segment. */
export class TcpScript {
  readonly clock = new SimulatedClock(() => 0.25)
  readonly host = new HostDouble()
  readonly connection: TcpConnection
  /** What the guest has been sent since it was last asked. */
  sent: WireSegment[] = []
  room = true
  /** First sequence number of the guest, and of ours once it is known. */
  readonly guestFirst = 0xffff_fff0
  ourFirst = 0
  readonly #segment = new TcpSegment()

  constructor() {
    const send = (frame: Buffer): boolean => {
      if (this.room) this.sent.push(readWire(frame))
      return this.room
    }
    this.connection = new TcpConnection(this.clock, PATH, { send, hasRoom: () => this.room }, this.host)
  }

  /** The guest's segment; `place` and `has` count from the SYNs, which are 0. */
  say(flags: string, place: number, has = 0, more: Partial<WireSegment> = {}): this {
    const frame = wireFrame(
      { source: GUEST, destination: HOST },
      {
        sourcePort: PATH.guestPort,
        destinationPort: PATH.peerPort,
        flags,
        sequence: (this.guestFirst + place) >>> 0,
        acknowledged: flags.includes('A') ? (this.ourFirst + has) >>> 0 : 0,
        window: 1000,
        ...more,
      },
    )
    this.#segment.read(readIpv4(frame, 14, frame.length)!)
    if (this.connection.state === 'opening' && flags === 'S' && this.ourFirst === 0)
      this.connection.answer(this.#segment)
    else {
      this.connection.receive(this.#segment)
      this.connection.settle()
    }
    return this
  }

  /** What was sent since, as `flags place has bytes`. */
  take(): string[] {
    const sent = this.sent
    this.sent = []
    return sent.map(({ flags, sequence, acknowledged, payload }) => {
      const place = (sequence - this.ourFirst) | 0
      const has = flags.includes('A') ? (acknowledged - this.guestFirst) | 0 : '-'
      return `${flags} ${place} ${has}${payload.length > 0 ? ` ${payload.length}` : ''}`
    })
  }

  /** The guest calls, and the host side stands; nothing is acknowledged yet. */
  half(): this {
    this.say('S', 0, 0, { options: SYN_OPTIONS })
    this.connection.open()
    this.ourFirst = this.sent[0]!.sequence
    return this
  }

  /** The handshake is over. */
  open(): this {
    this.half().say('A', 1, 1)
    this.sent = []
    return this
  }

  write(text: string | Buffer): this {
    this.connection.write(Buffer.from(text))
    this.connection.settle()
    return this
  }

  end(): this {
    this.connection.end()
    this.connection.settle()
    return this
  }
}
