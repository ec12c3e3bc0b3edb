import { EVERYBODY } from './gateway-dhcp'
import { datagramFrames, udpDatagram, type UdpEnds } from './gateway-frames'
import type { GatewayClient } from './gateway-client'
import { deservesError, icmpError, type IcmpError } from './gateway-icmp'
import { PROTOCOL, type Ipv4Packet } from './packet'

const EVERY_MAC = Uint8Array.of(255, 255, 255, 255, 255, 255)

/** What the gateway says to guests, as frames. */
export class GatewayOutput {
  private lastId = 0

  /** `mac` and `address` are the gateway's. */
  constructor(
    private readonly mac: Uint8Array,
    private readonly address: number,
  ) {}

  /** One IPv4 datagram to a guest, in fragments where it is long. */
  datagram(client: GatewayClient, source: number, protocol: number, payload: Uint8Array, to = client.address): void {
    this.lastId = (this.lastId + 1) & 0xffff
    const mac = to === EVERYBODY ? EVERY_MAC : client.mac
    const header = { to: mac, from: this.mac, source, destination: to, protocol, id: this.lastId }
    for (const frame of datagramFrames(header, payload)) client.send(frame)
  }

  udp(client: GatewayClient, ends: UdpEnds, payload: Uint8Array): void {
    this.datagram(client, ends.source, PROTOCOL.udp, udpDatagram(ends, payload), ends.destination)
  }

  /** Tells a guest why its packet goes nowhere, where an error is an answer to that packet at all. */
  refuse(client: GatewayClient, error: IcmpError, packet: Ipv4Packet): void {
    if (!deservesError(packet)) return
    this.error(client, this.address, error, packet.buffer.subarray(packet.at, packet.end))
  }

  /** An error that `source` reports about a packet that begins with `quote`. */
  error(client: GatewayClient, source: number, error: IcmpError, quote: Uint8Array): void {
    this.datagram(client, source, PROTOCOL.icmp, icmpError(error, quote))
  }
}
