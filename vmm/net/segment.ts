import { inBlock } from '../model/ipv4'
import type { Clock } from './clock'
import { denialReply } from './denial-reply'
import type { Flow } from './flow-table'
import { beginsForward, flowOut } from './forward-flows'
import type { FrameRun } from './frame-run'
import { broadcastOf, isArp } from './gateway-arp'
import { DHCP_SERVER_PORT } from './gateway-dhcp'
import { Reassembler } from './gateway-fragments'
import type { Gateway } from './gateway'
import { fragmentsOf } from './gateway-frames'
import { ETHERNET_BYTES, ETHERTYPE, FRAME_MOST, IPV4_BYTES, PROTOCOL, readIpv4, u16, u32 } from './packet'
import { countDown, flowOf, packetPorts } from './packet-ports'
import type { PeerFacts } from './policy-verdict'
import type { Port, PortSegment } from './port'
import { StormGuard } from './storm-guard'

const DNS = 53
const BROADCAST = 0xffff_ffff
/** Where a frame has the address that its packet is for. */
const DESTINATION_AT = ETHERNET_BYTES + 16
/** What an address that is not the card's own is refused by. */
const SPOOF_RULE = 'address lock'

export interface SegmentOptions {
  clock: Clock
  /** '' for the network of the gateway. */
  name: string
  subnet: { address: number; bits: number }
  gatewayMac: Uint8Array
  /** Whether the gateway leads anywhere. */
  uplink: boolean
  /** The gateway sends to guests through `Port.send`. */
  gateway: Gateway
  /** Whether an address is one of this host's own. */
  isHost(address: number): boolean
}

/**
 * A virtual Ethernet. Every card's MAC and IPv4 address are known, so nothing is learned and nothing flooded: a frame
 * goes to the one port that it is for, if the policies of both sides allow its flow. What is neither IPv4 nor ARP is
 * not carried.
 */
export class Segment implements PortSegment {
  readonly name: string
  readonly gatewayAddress: number
  readonly #gatewayHigh: number
  readonly #gatewayLow: number
  readonly #ports = new Set<Port>()
  readonly #byAddress = new Map<number, Port>()
  readonly #domains = new Map<string, { name: string; group: string }>()
  readonly #storms: StormGuard<Port>
  readonly #fragments = new WeakMap<Port, Reassembler>()

  constructor(readonly options: SegmentOptions) {
    const { name, subnet, gatewayMac } = options
    this.name = name
    this.#storms = new StormGuard(options.clock)
    this.gatewayAddress = subnet.address + 1
    this.#gatewayHigh = u16(gatewayMac, 0)
    this.#gatewayLow = u32(gatewayMac, 2)
  }

  get ports(): ReadonlySet<Port> {
    return this.#ports
  }

  add(port: Port, domain: { name: string; group: string }): void {
    this.#ports.add(port)
    this.#byAddress.set(port.address, port)
    this.#domains.set(port.config.domainId, domain)
  }

  remove(port: Port): void {
    this.#ports.delete(port)
    if (this.#byAddress.get(port.address) === port) this.#byAddress.delete(port.address)
    this.#fragments.get(port)?.clear()
    const { domainId } = port.config
    if (![...this.#ports].some(({ config }) => config.domainId === domainId)) this.#domains.delete(domainId)
    this.options.gateway.forget(port)
  }

  rename(domainId: string, domain: { name: string; group: string }): void {
    if (this.#domains.has(domainId)) this.#domains.set(domainId, domain)
  }

  /** What an address is, seen from any port. */
  peerAt(address: number): Omit<PeerFacts, 'names'> {
    const neighbour = this.#byAddress.get(address)
    if (neighbour) {
      return { address, place: 'neighbour', domain: this.#domains.get(neighbour.config.domainId) ?? null }
    }
    if (address === this.gatewayAddress || this.options.isHost(address)) return { address, place: 'host', domain: null }
    return { address, place: this.#isInside(address) ? 'neighbour' : 'outside', domain: null }
  }

  /** What the gateway does for every guest. */
  isService(protocol: number, peer: number, port: number): boolean {
    if (peer !== this.gatewayAddress) return false
    if (protocol === PROTOCOL.icmp) return true
    if (protocol === PROTOCOL.udp && port === DHCP_SERVER_PORT) return true
    return this.options.uplink && port === DNS && (protocol === PROTOCOL.udp || protocol === PROTOCOL.tcp)
  }

  /** Whether a frame comes from the gateway itself. */
  isFromGateway(buffer: Buffer, at: number): boolean {
    return u16(buffer, at + 6) === this.#gatewayHigh && u32(buffer, at + 8) === this.#gatewayLow
  }

  /** A frame that the card of `port` sends, with its own MAC address. */
  fromGuest(port: Port, buffer: Buffer, at: number, end: number, run: FrameRun): void {
    const type = u16(buffer, at + 12)
    if (type === ETHERTYPE.ipv4) this.#ipv4FromGuest(port, buffer, at, end, run)
    else if (type === ETHERTYPE.arp) this.#arpFromGuest(port, buffer, at, end)
    else port.counters.unsupported++
  }

  /** Takes a frame to whom it is for, its sender's policy having let it pass. */
  forward(port: Port, buffer: Buffer, at: number, end: number, run: FrameRun | null): void {
    const high = u16(buffer, at)
    const low = u32(buffer, at + 2)
    const destination = u32(buffer, at + DESTINATION_AT)
    if ((high & 0x100) !== 0) {
      for (const other of this.#ports) if (other !== port) this.#toNeighbour(port, other, buffer, at, end, null)
      return
    }
    // by both of its addresses: the policy was asked about one, and the frame would go by the other
    const target = this.#byAddress.get(destination)
    if (high === this.#gatewayHigh && low === this.#gatewayLow) {
      if (target === undefined) {
        this.options.gateway.receive(port, buffer, at, end)
        return
      }
      buffer.set(target.mac, at) // the guest was led to the gateway when it might not reach its neighbour
    } else if (target?.macHigh !== high || target.macLow !== low) {
      port.counters.dropped++
      return
    }
    if (target !== port) this.#toNeighbour(port, target, buffer, at, end, run)
  }

  /** A frame of the gateway for the guest behind `port`. */
  fromGateway(port: Port, frame: Buffer): void {
    const ports = packetPorts(frame, 0, frame.length)
    const peer = ports ? u32(frame, ETHERNET_BYTES + 12) : 0
    let flow: Flow | null = null
    if (ports) {
      const { protocol, destination: guestPort, source: peerPort } = ports
      flow = port.policy.flows.find(protocol, peer, guestPort, peerPort)
      if (flow === null && beginsForward(this.options.gateway, port, ports))
        flow = port.policy.beginForwarded(protocol, peer, guestPort, peerPort)
      if (flow) {
        countDown(flow, ports, port.now, frame.length)
        if (!flow.allowed && !ports.ends && !ports.isError) return
      }
    }
    port.arrived(frame, 0, frame.length)
    port.deliver(flow, frame, 0, frame.length, null)
  }

  #ipv4FromGuest(port: Port, buffer: Buffer, at: number, end: number, run: FrameRun | null): void {
    const ip = at + ETHERNET_BYTES
    if (end - ip < IPV4_BYTES) {
      port.counters.unsupported++
      return
    }
    const source = u32(buffer, ip + 12)
    const destination = u32(buffer, ip + 16)
    if (source !== port.address) {
      if (source === 0 && destination === BROADCAST) this.#toGateway(port, buffer, at, end)
      else this.#spoofed(port, buffer, ip, destination)
      return
    }
    if ((u16(buffer, ip + 6) & 0x3fff) !== 0) {
      this.#fragment(port, buffer, at, end)
      return
    }
    const toAll = ((buffer[at] as number) & 1) === 1
    if (toAll && !this.#isToAll(destination)) {
      port.counters.dropped++
      return
    }
    if (toAll && !this.#mayTellAll(port)) return
    if (toAll && (buffer[ip + 9] as number) === PROTOCOL.udp && this.#isDhcp(buffer, ip, end)) {
      this.#toGateway(port, buffer, at, end)
      return
    }
    const ports = packetPorts(buffer, at, end)
    if (ports === null) {
      port.counters.unsupported++
      return
    }
    const flow = flowOut(this.options.gateway, port, ports, destination)
    if (flow === null) {
      port.counters.dropped++
      return
    }
    flow.upBytes += end - at
    flow.lastAt = port.now
    if (flow.direction === 'in') flow.answered = true
    if (ports.ends) flow.closing = true
    if (!flow.allowed) this.#refuse(port, flow, buffer, at, end)
    else if (port.passesAtOnce(flow, buffer, at, end)) this.forward(port, buffer, at, end, run)
  }

  #toNeighbour(sender: Port, target: Port, buffer: Buffer, at: number, end: number, run: FrameRun | null): void {
    target.arrived(buffer, at, end)
    const ports = packetPorts(buffer, at, end)
    const flow = ports && flowOf(target.policy, 'in', ports, sender.address)
    if (!ports || !flow) {
      target.counters.dropped++
      return
    }
    countDown(flow, ports, target.now, end - at)
    if (!flow.allowed) this.#refuse(target, flow, buffer, at, end, sender)
    else if (end - at <= FRAME_MOST) target.deliver(flow, buffer, at, end, run)
    else for (const frame of fragmentsOf(buffer.subarray(at, end))) target.deliver(flow, frame, 0, frame.length, null)
  }

  /** Notes a refusal by the policy of `port`, and tells the guest that sent the packet. */
  #refuse(port: Port, flow: Flow, buffer: Buffer, at: number, end: number, sender = port): void {
    port.policy.refuse(flow)
    const answer = denialReply(buffer, at, end)
    if (!answer) return
    sender.arrived(answer, 0, answer.length)
    sender.deliver(null, answer, 0, answer.length, null)
  }

  #arpFromGuest(port: Port, buffer: Buffer, at: number, end: number): void {
    const arp = at + ETHERNET_BYTES
    if (!isArp(buffer, arp, end)) {
      port.counters.unsupported++
      return
    }
    const own = u16(buffer, arp + 8) === port.macHigh && u32(buffer, arp + 10) === port.macLow
    const source = u32(buffer, arp + 14)
    if (!own || (source !== port.address && source !== 0)) {
      port.counters.spoofed++
      return
    }
    if (((buffer[at] as number) & 1) === 1 && !this.#mayTellAll(port)) return
    const wanted = u32(buffer, arp + 24)
    if (wanted === port.address) return // asks whether anybody else has it: nobody can
    const neighbour = this.#byAddress.get(wanted)
    if (neighbour && neighbour !== port && this.#mayTalk(port, neighbour)) {
      // one that asks whether the gateway still has the address that it stood in for
      if (((buffer[at] as number) & 1) === 0) buffer.set(neighbour.mac, at)
      port.passed(buffer, at, end)
      neighbour.arrived(buffer, at, end)
      neighbour.deliver(null, buffer, at, end, null)
      return
    }
    // whoever may not be reached looks as if it were there: what is sent to it is refused at once
    this.#toGateway(port, buffer, at, end)
  }

  /** What the policy has no say in. */
  #toGateway(port: Port, buffer: Buffer, at: number, end: number): void {
    port.passed(buffer, at, end)
    this.options.gateway.receive(port, buffer, at, end)
  }

  #mayTalk(one: Port, other: Port): boolean {
    return one.policy.mayTalk(other.address) && other.policy.mayTalk(one.address)
  }

  #fragment(port: Port, buffer: Buffer, at: number, end: number): void {
    const packet = readIpv4(buffer, at + ETHERNET_BYTES, end)
    if (!packet) {
      port.counters.unsupported++
      return
    }
    const reassembler = this.#fragments.get(port) ?? new Reassembler(this.options.clock)
    this.#fragments.set(port, reassembler)
    const whole = reassembler.add(packet)
    if (!whole) return
    const frame = Buffer.concat([buffer.subarray(at, at + ETHERNET_BYTES), whole])
    this.#ipv4FromGuest(port, frame, 0, frame.length, null)
  }

  #spoofed(port: Port, buffer: Buffer, ip: number, destination: number): void {
    port.counters.spoofed++
    const reason = 'The sender is not the address that the card was given.'
    const protocol = buffer[ip + 9] as number
    const facts = { action: 'deny', direction: 'out', peerName: '', port: 0, rule: SPOOF_RULE, index: -1 } as const
    port.note({ ...facts, protocol, peer: destination, reason })
  }

  #mayTellAll(port: Port): boolean {
    if (this.#storms.lets(port)) return true
    port.counters.dropped++
    return false
  }

  #isDhcp(buffer: Buffer, ip: number, end: number): boolean {
    const udp = ip + ((buffer[ip] as number) & 15) * 4
    return udp + 4 <= end && u16(buffer, udp + 2) === DHCP_SERVER_PORT
  }

  #isInside(address: number): boolean {
    return inBlock(address, this.options.subnet) || this.#isToAll(address)
  }

  /** Everybody, everybody here, or a group. */
  #isToAll(address: number): boolean {
    return address === BROADCAST || address >>> 28 === 14 || address === broadcastOf(this.options.subnet)
  }
}
