import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { formatAddress } from '../model/ipv4'
import type { Clock } from './clock'
import type { GatewayClient } from './gateway-client'
import type { Ipv4Packet } from './packet'
import { TcpFrames, type TcpPath } from './tcp-frames'
import { TcpGuest, type TcpMember } from './tcp-guest'
import { resetAndDestroy, TcpJoint } from './tcp-joint'
import { localStreams } from './tcp-local-stream'
import { FLAG, TcpSegment } from './tcp-segment'

const LOOPBACK = '127.0.0.1'
/** Ports that the gateway calls guests from. */
const EPHEMERAL = { first: 32_768, count: 28_232 }
/** As much of a packet as an ICMP error quotes after its header, bytes. (RFC 792) */
const QUOTED_BYTES = 8

export interface TcpGatewayOptions {
  clock: Clock
  gatewayMac: Uint8Array
  /** Largest payload of a frame, bytes; without one that of an MTU of 1500. */
  segmentBytes?: number
  /** The gateway's own address: to a guest it is the host's loopback. */
  gatewayAddress: number
  /** Whether guests may call anybody; else only the host calls them, through forwards. */
  uplink: boolean
  /** Reaches a host; the stream says 'connect', or 'error' with a code. */
  dial?: (address: string, port: number) => Duplex
  /** A service of the gateway itself on that port of its address. */
  local?: (port: number) => ((stream: Duplex, client: GatewayClient) => void) | null
  /** A host or its network could not be reached: `quoted` is the beginning of the guest's packet, as ICMP quotes it. */
  unreachable?: (client: GatewayClient, quoted: Buffer, what: 'host' | 'network') => void
}

/** A connection as those know it who decide about it. */
export interface TcpFlow {
  peer: number
  /** Port of the peer. */
  port: number
  guestPort: number
}

export interface TcpCounts {
  guests: number
  /** Connections that count for the bounds, and those of them whose handshake is not over. */
  connections: number
  halfOpen: number
  lingering: number
  /** Memory held for data on its way, bytes. */
  held: number
}

/** Ends guests' TCP connections and joins each to a socket of the host. */
export class TcpGateway {
  readonly #guests = new Map<string, TcpGuest>()
  readonly #segment = new TcpSegment()
  /** Connections that have received something in this burst. */
  #unsettled: TcpMember[] = []

  constructor(private readonly options: TcpGatewayOptions) {}

  /** Takes a TCP packet that a guest may send; nothing of its buffer is used after this returns. */
  receive(client: GatewayClient, packet: Ipv4Packet): void {
    const segment = this.#segment
    if (!segment.read(packet)) return
    const guest = this.#guests.get(client.id)
    let joint = guest?.find(packet.destination, segment.destinationPort, segment.sourcePort)
    if (joint?.connection.isReplacedBy(segment)) {
      joint.connection.drop()
      joint = undefined
    }
    if (joint) {
      joint.connection.receive(segment)
      this.#settleLater(joint)
    } else if (segment.flags & FLAG.rst) return
    else if ((segment.flags & (FLAG.syn | FLAG.ack)) === FLAG.syn) this.#call(client, packet)
    else this.#refuse(client, packet)
  }

  /** A port forward: joins `socket`, which somebody opened to the host, to the guest's port. */
  accept(client: GatewayClient, gatewayAddress: number, socket: Socket, guestPort: number): void {
    const guest = this.#guestOf(client)
    const port = this.#freePort(guest, gatewayAddress, guestPort)
    if (!guest.hasPlace || port === null) return resetAndDestroy(socket)
    const path = this.#path(client, { peer: gatewayAddress, port, guestPort })
    const joint = new TcpJoint(this.options.clock, path, guest, () => {})
    joint.join(socket, () => joint.connection.abort())
    joint.connection.call()
  }

  /** Ends connections of a client with an RST both ways: all, or those that `match`. */
  abort(client: GatewayClient, match: (flow: TcpFlow) => boolean = () => true): void {
    for (const joint of this.#guests.get(client.id)?.all() ?? []) {
      const { peer, peerPort, guestPort } = joint.path
      if (match({ peer, port: peerPort, guestPort })) joint.connection.abort()
    }
  }

  /** The client is gone: ends its connections on the host's side alone. */
  forget(client: GatewayClient): void {
    this.#guests.get(client.id)?.close()
    this.#guests.delete(client.id)
  }

  close(): void {
    for (const guest of this.#guests.values()) guest.close()
    this.#guests.clear()
  }

  counts(): TcpCounts {
    const counts: TcpCounts = { guests: 0, connections: 0, halfOpen: 0, lingering: 0, held: 0 }
    for (const { connections, halfOpen, lingering, held } of this.#guests.values()) {
      counts.guests++
      counts.connections += connections
      counts.halfOpen += halfOpen
      counts.lingering += lingering
      counts.held += held
    }
    return counts
  }

  #guestOf(client: GatewayClient): TcpGuest {
    const known = this.#guests.get(client.id)
    if (known) return known
    const guest = new TcpGuest(client)
    this.#guests.set(client.id, guest)
    return guest
  }

  /** The segment that was just read is a SYN to somebody: reaches them, and answers when they stand. */
  #call(client: GatewayClient, packet: Ipv4Packet): void {
    const guest = this.#guestOf(client)
    const { destinationPort: port, sourcePort: guestPort } = this.#segment
    if (!this.options.uplink || !guest.hasPlace || port === 0) return this.#refuse(client, packet)
    const quoted = Buffer.from(packet.buffer.subarray(packet.at, packet.payloadAt + QUOTED_BYTES))
    const path = this.#path(client, { peer: packet.destination, port, guestPort })
    const joint = new TcpJoint(this.options.clock, path, guest, (reason, opened) => {
      if (reason === 'timed out' && !opened) this.options.unreachable?.(client, quoted, 'host')
    })
    joint.connection.answer(this.#segment)
    const service = packet.destination === this.options.gatewayAddress ? this.options.local?.(port) : null
    if (service) this.#serve(joint, client, service)
    else this.#dial(joint, client, port, quoted)
  }

  #serve(joint: TcpJoint, client: GatewayClient, service: (stream: Duplex, client: GatewayClient) => void): void {
    const [ours, theirs] = localStreams()
    joint.join(ours, () => {})
    service(theirs, client)
    joint.connection.open()
  }

  #dial(joint: TcpJoint, client: GatewayClient, port: number, quoted: Buffer): void {
    const { peer } = joint.path
    const address = peer === this.options.gatewayAddress ? LOOPBACK : formatAddress(peer)
    const stream = (this.options.dial ?? dialHost)(address, port)
    joint.join(stream, (error) => {
      const what = unreached(error.code)
      if (what === null || !this.options.unreachable) return joint.connection.abort('refused')
      this.options.unreachable(client, quoted, what)
      joint.connection.drop()
    })
    stream.once('connect', () => joint.connection.open())
  }

  /** Answers the segment that was just read, which belongs to no connection, by RST. (RFC 9293, 3.10.7.1) */
  #refuse(client: GatewayClient, packet: Ipv4Packet): void {
    const { sourcePort: guestPort, destinationPort: port, flags, acknowledged, next } = this.#segment
    const frames = new TcpFrames(this.#path(client, { peer: packet.destination, port, guestPort }))
    const answer =
      flags & FLAG.ack
        ? { sequence: acknowledged, acknowledged: 0, flags: FLAG.rst }
        : { sequence: 0, acknowledged: next, flags: FLAG.rst | FLAG.ack }
    client.send(frames.control({ ...answer, window: 0 }))
  }

  #path(client: GatewayClient, { peer, port, guestPort }: TcpFlow): TcpPath {
    const { mac: guestMac, address: guest } = client
    const { gatewayMac, segmentBytes } = this.options
    const path = { guestMac, gatewayMac, peer, peerPort: port, guest, guestPort }
    return segmentBytes === undefined ? path : { ...path, segmentBytes }
  }

  #freePort(guest: TcpGuest, peer: number, guestPort: number): number | null {
    const start = this.options.clock.random32()
    for (let step = 0; step < EPHEMERAL.count; step++) {
      const port = EPHEMERAL.first + ((start + step) % EPHEMERAL.count)
      if (!guest.find(peer, port, guestPort)) return port
    }
    return null
  }

  /** What a burst of frames brings about is done once, after the last of them. */
  #settleLater(joint: TcpMember): void {
    if (joint.unsettled) return
    joint.unsettled = true
    if (this.#unsettled.push(joint) === 1) process.nextTick(this.#settle)
  }

  readonly #settle = (): void => {
    const joints = this.#unsettled
    this.#unsettled = []
    for (const joint of joints) {
      joint.unsettled = false
      joint.connection.settle()
    }
  }
}

function dialHost(address: string, port: number): Socket {
  return connect({ host: address, port, noDelay: true, allowHalfOpen: true })
}

/** What an error of connect() says could not be reached; null when it was reached and refused, or never tried. */
function unreached(code: string | undefined): 'host' | 'network' | null {
  if (code === 'EHOSTUNREACH' || code === 'EHOSTDOWN' || code === 'ETIMEDOUT') return 'host'
  return code === 'ENETUNREACH' || code === 'ENETDOWN' || code === 'ENONET' ? 'network' : null
}
