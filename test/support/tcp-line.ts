import { parseAddress } from '../../vmm/model/ipv4'
import { macBytes, readIpv4 } from '../../vmm/net/packet'
import { TcpConnection } from '../../vmm/net/tcp-connection'
import type { CloseReason, TcpHost } from '../../vmm/net/tcp-host'
import type { Keeping } from '../../vmm/net/tcp-receiver'
import { FLAG, TcpSegment } from '../../vmm/net/tcp-segment'
import { LossyWire, type WireFaults } from './lossy-wire'
import type { Random } from './random-values'
import { SimulatedClock } from './simulated-clock'
import { TcpPeer, type PeerOptions } from './tcp-peer'

export const GUEST = '10.86.0.9'
export const HOST = '192.0.2.7'
export const PATH = {
  guestMac: macBytes('52:54:00:00:00:01'),
  gatewayMac: macBytes('0a:56:00:00:00:01'),
  peer: parseAddress(HOST)!,
  peerPort: 80,
  guest: parseAddress(GUEST)!,
  guestPort: 40_000,
}

/** A host side that keeps what it gets, and gets rid of it at once unless told to hold it. */
export class HostDouble implements TcpHost {
  received: Buffer[] = []
  receivedBytes = 0
  pending = 0
  holds = false
  keeping: Keeping = 'all'
  windowMost = 2 ** 20
  isEstablished = false
  guestEnded = false
  lingering = false
  reason: CloseReason | null = null
  onSettled = (): void => {}

  push(buffer: Buffer, at: number, end: number): void {
    this.received.push(Buffer.from(buffer.subarray(at, end)))
    this.receivedBytes += end - at
    if (this.holds) this.pending += end - at
  }

  established(): void {
    this.isEstablished = true
  }

  settled(): void {
    this.onSettled()
  }

  ended(): void {
    this.guestEnded = true
  }

  lingers(): void {
    this.lingering = true
  }

  closed(reason: CloseReason): void {
    if (this.reason) throw new Error(`closed twice: ${this.reason}, ${reason}`)
    this.reason = reason
  }
}

export interface LineOptions extends Partial<Pick<PeerOptions, 'first' | 'sack' | 'scaled' | 'buffer'>> {
  random: Random
  toGuest?: WireFaults
  toHost?: WireFaults
}

/** An endpoint of ours, a guest's of the tests, and a wire each way between them, in simulated time. */
export class TcpLine {
  readonly clock: SimulatedClock
  readonly host = new HostDouble()
  readonly connection: TcpConnection
  readonly peer: TcpPeer
  readonly toGuest: LossyWire
  readonly toHost: LossyWire
  /** Whether the way to the guest takes frames. */
  room = true
  readonly #segment = new TcpSegment()

  constructor({ random, toGuest = {}, toHost = {}, ...peer }: LineOptions) {
    this.clock = new SimulatedClock(random)
    this.toGuest = new LossyWire(this.clock, random, (frame) => this.peer.take(frame), toGuest)
    this.toHost = new LossyWire(this.clock, random, (frame) => this.take(frame), toHost)
    const way = { send: (frame: Buffer) => this.#send(frame), hasRoom: () => this.room }
    this.connection = new TcpConnection(this.clock, PATH, way, this.host)
    this.peer = new TcpPeer({
      clock: this.clock,
      ends: { source: GUEST, destination: HOST },
      ports: { guest: PATH.guestPort, peer: PATH.peerPort },
      emit: (frame) => this.toHost.send(frame),
      ...peer,
    })
  }

  /** A frame of the guest arrives at our endpoint. */
  take(frame: Buffer): void {
    const packet = readIpv4(frame, 14, frame.length)
    if (!packet || !this.#segment.read(packet)) throw new Error('the guest sent a broken frame')
    const { connection } = this
    const calls = connection.state === 'opening' && (this.#segment.flags & FLAG.syn) !== 0
    if (calls) {
      connection.answer(this.#segment)
      connection.open()
    } else {
      connection.receive(this.#segment)
      connection.settle()
    }
  }

  write(data: Buffer): void {
    this.connection.write(data)
    this.connection.settle()
  }

  end(): void {
    this.connection.end()
    this.connection.settle()
  }

  /** Lets up to `ms` pass until `done`; returns how long that took, milliseconds. */
  until(done: () => boolean, ms: number): number {
    const begin = this.clock.now()
    while (!done() && this.clock.now() - begin < ms) this.clock.advance(1)
    return this.clock.now() - begin
  }

  /** The guest calls, and both sides stand. */
  connect(): this {
    this.peer.connect()
    this.until(() => this.host.isEstablished, 30_000)
    return this
  }

  #send(frame: Buffer): boolean {
    if (this.room) this.toGuest.send(frame)
    return this.room
  }
}
