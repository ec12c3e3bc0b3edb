import type { GatewayClient } from '../../vmm/net/gateway-client'
import { datagramFrames, readUdp, udpDatagram, type UdpPacket } from '../../vmm/net/gateway-frames'
import { Gateway, type GatewayOptions } from '../../vmm/net/gateway'
import { Reassembler } from '../../vmm/net/gateway-fragments'
import { ETHERNET_BYTES, ETHERTYPE, macBytes, PROTOCOL, readIpv4, type Ipv4Packet } from '../../vmm/net/packet'
import type { Verdict } from '../../vmm/net/policy-verdict'
import { parseAddress } from '../../vmm/model/ipv4'
import { GATEWAY_SUBNET } from '../../vmm/model/network'
import { SimulatedClock } from './simulated-clock'

export const GATEWAY_MAC = macBytes('52:55:0a:56:00:01')
export const GATEWAY_ADDRESS = parseAddress('10.86.0.1')!
export const ALLOWED: Verdict = { action: 'allow', rule: 'all', index: 0, logged: [] }
export const DENIED: Verdict = { action: 'deny', rule: 'default deny', index: -1, logged: [] }

/** A gateway on a clock of its own. */
export function gatewayOn(
  options: Partial<GatewayOptions> = {},
  clock = new SimulatedClock(),
): { gateway: Gateway; clock: SimulatedClock } {
  const usual = { clock, subnet: GATEWAY_SUBNET, mac: GATEWAY_MAC, uplink: true, dnsServers: () => ['127.0.0.1:9'] }
  return { gateway: new Gateway({ ...usual, ...options }), clock }
}

/** A card that a test speaks for: it writes frames, and reads those that it is sent. */
export class GatewayGuest implements GatewayClient {
  readonly mac: Uint8Array
  readonly frames: Buffer[] = []
  readonly pins: { name: string; address: number; ttl: number }[] = []
  readonly denials: Parameters<GatewayClient['denied']>[0][] = []
  room = true
  mayResolve: GatewayClient['mayResolve'] = () => ALLOWED
  mayLeadTo: GatewayClient['mayLeadTo'] = () => false
  private readonly reassembler = new Reassembler(new SimulatedClock(), { datagrams: 64, bytes: 1 << 24 })
  private readonly packets: Ipv4Packet[] = []
  private lastId = 0

  constructor(
    readonly id = 'guest',
    readonly address = parseAddress('10.86.0.5')!,
    mac = '52:54:00:00:00:05',
  ) {
    this.mac = macBytes(mac)
  }

  send(frame: Buffer): boolean {
    this.frames.push(frame)
    if (frame.readUInt16BE(12) !== ETHERTYPE.ipv4) return true
    const packet = readIpv4(frame, ETHERNET_BYTES, frame.length)
    if (!packet) throw new Error('The gateway sent a packet that cannot be read.')
    if (!packet.moreFragments && packet.fragmentOffset === 0) this.packets.push(packet)
    else {
      const whole = this.reassembler.add(packet)
      if (whole) this.packets.push(readIpv4(whole, 0, whole.length)!)
    }
    return true
  }

  hasRoom(): boolean {
    return this.room
  }

  onRoom(): () => void {
    return () => {}
  }

  pin(name: string, address: number, ttl: number): void {
    this.pins.push({ name, address, ttl })
  }

  denied(what: Parameters<GatewayClient['denied']>[0]): void {
    this.denials.push(what)
  }

  /** Sends an IPv4 payload to an address, in fragments where it is long. */
  put(gateway: Gateway, protocol: number, destination: number, payload: Uint8Array, source = this.address): void {
    const header = { to: GATEWAY_MAC, from: this.mac, source, destination, protocol, id: ++this.lastId & 0xffff }
    for (const frame of datagramFrames(header, payload)) gateway.receive(this, frame, 0, frame.length)
  }

  putUdp(gateway: Gateway, sourcePort: number, destination: number, port: number, payload: Uint8Array | string): void {
    const ends = { source: this.address, sourcePort, destination, destinationPort: port }
    this.put(gateway, PROTOCOL.udp, destination, udpDatagram(ends, Buffer.from(payload)))
  }

  /** The oldest packet that was not taken yet. */
  take(): Ipv4Packet | null {
    return this.packets.shift() ?? null
  }

  /** Waits for a packet. */
  async packet(): Promise<Ipv4Packet> {
    return until(() => this.take())
  }

  /** Waits for a UDP datagram; anything else that comes before fails. */
  async udp(): Promise<UdpPacket & { source: number }> {
    const packet = await this.packet()
    const udp = packet.protocol === PROTOCOL.udp ? readUdp(packet) : null
    if (!udp) throw new Error(`Not UDP: protocol ${packet.protocol}`)
    return { ...udp, source: packet.source }
  }

  /** Waits for an ICMP message; returns type, code and what it quotes or carries. */
  async icmp(): Promise<{ type: number; code: number; source: number; body: Buffer }> {
    const { buffer, payloadAt, end, source, protocol } = await this.packet()
    if (protocol !== PROTOCOL.icmp) throw new Error(`Not ICMP: protocol ${protocol}`)
    const body = buffer.subarray(payloadAt + 8, end)
    return { type: buffer[payloadAt]!, code: buffer[payloadAt + 1]!, source, body }
  }
}

/** Waits for something that sockets bring, until `look` sees it; the test's own time-out bounds it. */
export async function until<T>(look: () => T): Promise<NonNullable<Awaited<T>>> {
  for (;;) {
    const seen = await look()
    if (seen) return seen
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Lets everything that is on its way over loopback come, so that nothing more can. */
export async function settled(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
}
