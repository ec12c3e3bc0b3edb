import { inBlock, isLinkLocal, isUnroutable, type Block } from '../model/ipv4'
import type { Forward } from '../model/network'
import type { Clock } from './clock'
import { arpAnswer, broadcastOf } from './gateway-arp'
import type { GatewayClient } from './gateway-client'
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, dhcpReply, EVERYBODY } from './gateway-dhcp'
import { DNS_PORT, GatewayDns } from './gateway-dns'
import { DnsServers } from './gateway-dns-servers'
import { serveDns } from './gateway-dns-stream'
import { DnsUpstream } from './gateway-dns-upstream'
import type { OpenForward } from './gateway-forward'
import { Forwards } from './gateway-forwards'
import { Reassembler } from './gateway-fragments'
import { readUdp, type UdpPacket } from './gateway-frames'
import { echoReply } from './gateway-icmp'
import { GatewayOutput } from './gateway-output'
import { UdpNat, type FlowMatch } from './gateway-udp'
import { ETHERNET_BYTES, ETHERTYPE, PROTOCOL, readIpv4, type Ipv4Packet } from './packet'
import { TcpGateway, type TcpCounts } from './tcp-gateway'

export interface GatewayOptions {
  clock: Clock
  /** The subnet it serves; its own address is the first after the network's. */
  subnet: Block
  mac: Uint8Array
  /** Whether it leads to the host's network (NAT, DNS, router); false on isolated segments: DHCP and ping only. */
  uplink: boolean
  /** Upstream DNS servers as 'address' or 'address:port'; those of the host when empty. */
  dnsServers(): readonly string[]
  /** Told when a guest has been given its address. */
  leased?(client: GatewayClient): void
}

/**
 * The way of guests to the host's network, in user space: no driver, no rights, no packet of a guest on a wire. It
 * gets what the policy has allowed. Its own address stands for the host's loopback, but for DHCP and DNS.
 */
export class Gateway {
  /** Its own address, unsigned. */
  readonly address: number
  private readonly output: GatewayOutput
  private readonly udp: UdpNat
  private readonly tcp: TcpGateway
  private readonly forwards: Forwards
  private readonly dns: GatewayDns
  private readonly fragments = new Map<string, Reassembler>()

  constructor(private readonly options: GatewayOptions) {
    const { clock, subnet, mac } = options
    this.address = subnet.address + 1
    this.output = new GatewayOutput(mac, this.address)
    this.udp = new UdpNat(clock, this.output, this.address)
    const upstream = new DnsUpstream(clock, new DnsServers(clock, () => options.dnsServers()))
    this.dns = new GatewayDns({ clock, subnet, address: this.address, upstream })
    this.tcp = new TcpGateway({
      clock,
      gatewayMac: mac,
      gatewayAddress: this.address,
      uplink: options.uplink,
      local: (port) =>
        port === DNS_PORT ? (stream, client) => serveDns({ clock, dns: this.dns, client, stream }) : null,
      unreachable: (client, quoted, what) =>
        this.output.error(client, this.address, what === 'host' ? 'hostUnreachable' : 'netUnreachable', quoted),
    })
    this.forwards = new Forwards({
      clock,
      output: this.output,
      address: this.address,
      accept: (client, socket, guestPort) => this.tcp.accept(client, this.address, socket, guestPort),
    })
  }

  /**
   * One frame from a guest, whole in buffer[at, end): to the gateway's MAC, or broadcast DHCP, or an ARP request that the
   * switch leaves to the gateway. Never throws, whatever it holds; keeps nothing of the buffer.
   */
  receive(client: GatewayClient, buffer: Buffer, at: number, end: number): void {
    if (end - at < ETHERNET_BYTES) return
    const type = buffer.readUInt16BE(at + 12)
    if (type === ETHERTYPE.arp) {
      const answer = arpAnswer(client, this.options, buffer, at, end)
      if (answer) client.send(answer)
    } else if (type === ETHERTYPE.ipv4) {
      const packet = readIpv4(buffer, at + ETHERNET_BYTES, end)
      if (packet) this.receivePacket(client, packet)
    }
  }

  /** The same for an IPv4 packet, such as one that was put together from fragments. */
  receivePacket(client: GatewayClient, packet: Ipv4Packet): void {
    if (packet.moreFragments || packet.fragmentOffset > 0) return this.gather(client, packet)
    const udp = packet.protocol === PROTOCOL.udp ? readUdp(packet) : null
    if (udp?.destinationPort === DHCP_SERVER_PORT && this.hearsDhcp(packet.destination)) return this.dhcp(client, udp)
    if (packet.source !== client.address) return
    if (packet.destination === this.address) this.toGateway(client, packet, udp)
    else this.toOutside(client, packet, udp)
  }

  /** Opens a port of the host that leads to the guest. Fails with a `VmmError`: `conflict`, `denied` or `invalid`. */
  forward(client: GatewayClient, forward: Forward): Promise<OpenForward> {
    return this.forwards.add(client, forward)
  }

  /** Whether a port of the gateway stands for somebody who has come through a UDP forward to a port of the guest. */
  hasCaller(client: GatewayClient, guestPort: number, gatewayPort: number): boolean {
    return this.forwards.hasCaller(client, guestPort, gatewayPort)
  }

  /** Ends the flows of a guest that `match` tells (the policy has changed), all without one. */
  abort(client: GatewayClient, match?: FlowMatch): void {
    this.udp.abort(client, match)
    this.forwards.abort(client, match)
    this.tcp.abort(client, match && ((flow) => match({ protocol: PROTOCOL.tcp, ...flow })))
  }

  /** The card is gone: frees everything that is its. */
  forget(client: GatewayClient): void {
    this.udp.forget(client)
    this.dns.forget(client)
    this.forwards.forget(client)
    this.tcp.forget(client)
    this.fragments.get(client.id)?.clear()
    this.fragments.delete(client.id)
  }

  close(): void {
    this.udp.close()
    this.dns.close()
    this.forwards.close()
    this.tcp.close()
    for (const reassembler of this.fragments.values()) reassembler.clear()
    this.fragments.clear()
  }

  /** What it holds at the moment, for all guests together. */
  counts(): { udpFlows: number; udpLost: number; queries: number; tcp: TcpCounts } {
    const udp = this.udp.counts()
    return { udpFlows: udp.flows, udpLost: udp.lost, queries: this.dns.counts().open, tcp: this.tcp.counts() }
  }

  private gather(client: GatewayClient, packet: Ipv4Packet): void {
    let reassembler = this.fragments.get(client.id)
    if (!reassembler) this.fragments.set(client.id, (reassembler = new Reassembler(this.options.clock)))
    const whole = reassembler.add(packet)
    const joined = whole && readIpv4(whole, 0, whole.length)
    if (joined) this.receivePacket(client, joined)
  }

  private hearsDhcp(destination: number): boolean {
    return destination === this.address || destination === EVERYBODY || destination === broadcastOf(this.options.subnet)
  }

  private dhcp(client: GatewayClient, { sourcePort, payload }: UdpPacket): void {
    if (sourcePort !== DHCP_CLIENT_PORT) return
    const { subnet, uplink } = this.options
    const reply = dhcpReply(client, { subnet, uplink, address: this.address }, payload)
    if (!reply) return
    const ends = { source: this.address, sourcePort: DHCP_SERVER_PORT, destinationPort: DHCP_CLIENT_PORT }
    this.output.udp(client, { ...ends, destination: reply.to }, reply.message)
    if (reply.leases) this.options.leased?.(client)
  }

  private toGateway(client: GatewayClient, packet: Ipv4Packet, udp: UdpPacket | null): void {
    switch (packet.protocol) {
      case PROTOCOL.icmp: {
        const reply = echoReply(packet)
        if (reply) this.output.datagram(client, this.address, PROTOCOL.icmp, reply)
        return
      }
      case PROTOCOL.udp:
        if (!udp) return
        if (this.forwards.answer(client, udp.sourcePort, udp.destinationPort, udp.payload)) return
        if (!this.options.uplink) return this.output.refuse(client, 'portUnreachable', packet)
        if (udp.destinationPort === DNS_PORT) return void this.resolve(client, udp)
        return this.udp.send(client, udp.sourcePort, this.address, udp.destinationPort, udp.payload)
      case PROTOCOL.tcp:
        return this.tcp.receive(client, packet)
      default:
        this.output.refuse(client, 'protocolUnreachable', packet)
    }
  }

  private async resolve(client: GatewayClient, { sourcePort, payload }: UdpPacket): Promise<void> {
    const answer = await this.dns.answer(client, payload)
    const ends = { source: this.address, sourcePort: DNS_PORT, destination: client.address }
    if (answer) this.output.udp(client, { ...ends, destinationPort: sourcePort }, answer)
  }

  private toOutside(client: GatewayClient, packet: Ipv4Packet, udp: UdpPacket | null): void {
    const { destination, protocol, ttl } = packet
    if (isMulticast(destination) || destination === broadcastOf(this.options.subnet)) return
    if (!this.leadsTo(destination)) return this.output.refuse(client, 'hostUnreachable', packet)
    if (ttl <= 1) return this.output.refuse(client, 'timeExceeded', packet)
    switch (protocol) {
      case PROTOCOL.icmp: // there are no raw sockets to send it from: better a refusal than silence
        return this.output.refuse(client, 'prohibited', packet)
      case PROTOCOL.udp:
        if (udp) this.udp.send(client, udp.sourcePort, destination, udp.destinationPort, udp.payload)
        return
      case PROTOCOL.tcp:
        return this.tcp.receive(client, packet)
      default:
        this.output.refuse(client, 'protocolUnreachable', packet)
    }
  }

  /** Whether an address may be dialled at all: neighbours are not behind the gateway, and some lead nowhere. */
  private leadsTo(address: number): boolean {
    if (!this.options.uplink || inBlock(address, this.options.subnet)) return false
    return !isUnroutable(address) || isLinkLocal(address)
  }
}

/** Groups, what is reserved, and everybody. */
function isMulticast(address: number): boolean {
  return address >>> 28 >= 14
}
