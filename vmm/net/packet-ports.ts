import type { Flow } from './flow-table'
import { ETHERNET_BYTES, IPV4_BYTES, PROTOCOL, u16, u32 } from './packet'
import type { PortPolicy } from './port-policy'

/** What tells to which flow a packet belongs. */
export interface PacketPorts {
  protocol: number
  /** 0 where there are none; for echo messages both are their identifier. */
  source: number
  destination: number
  /** Whether it can begin a flow. */
  begins: boolean
  /** Whether it says that its sender has ended. */
  ends: boolean
  /** Whether it is an error about a packet of the flow that the other side has sent; it never begins one. */
  isError: boolean
}

const FIN = 1
const SYN = 2
const RST = 4
const ACK = 16
const ECHO_REPLY = 0
const ECHO = 8
/** Destination unreachable, source quench, time exceeded, parameter problem: each repeats what it is about. */
const ERRORS = [3, 4, 11, 12]
const ICMP_BYTES = 8

/** One for all: it is made for every frame, and read before the next. */
const read: PacketPorts = { protocol: 0, source: 0, destination: 0, begins: false, ends: false, isError: false }

/** Reads the IPv4 packet of a frame; null when its lengths are wrong. The object is the same each time. */
export function packetPorts(buffer: Buffer, at: number, end: number): PacketPorts | null {
  const ip = at + ETHERNET_BYTES
  const first = buffer[ip] as number
  const headerBytes = (first & 15) * 4
  const length = u16(buffer, ip + 2)
  if (end - ip < IPV4_BYTES || first >> 4 !== 4 || headerBytes < IPV4_BYTES) return null
  if (length > end - ip || length < headerBytes) return null
  const payload = ip + headerBytes
  const bytes = length - headerBytes
  read.protocol = buffer[ip + 9] as number
  read.source = 0
  read.destination = 0
  read.begins = true
  read.ends = false
  read.isError = false
  switch (read.protocol) {
    case PROTOCOL.tcp: {
      if (bytes < 20) return null
      const flags = buffer[payload + 13] as number
      read.begins = (flags & (SYN | ACK)) === SYN
      read.ends = (flags & (FIN | RST)) !== 0
      break
    }
    case PROTOCOL.udp:
      if (bytes < 8) return null
      break
    case PROTOCOL.icmp: {
      if (bytes < 8) return null
      const type = buffer[payload] as number
      read.begins = type === ECHO
      if (ERRORS.includes(type)) readQuote(buffer, ip, payload + ICMP_BYTES, payload + bytes)
      if (type !== ECHO && type !== ECHO_REPLY) return read
      read.source = u16(buffer, payload + 4)
      read.destination = read.source
      return read
    }
    default:
      return read
  }
  read.source = u16(buffer, payload)
  read.destination = u16(buffer, payload + 2)
  return read
}

/**
 * Takes an error for a packet of the flow that it is about: one that its sender had got from whom the error is for. The
 * packet that it repeats lies in [at, end); `ip` is where its own begins.
 */
function readQuote(buffer: Buffer, ip: number, at: number, end: number): void {
  const ports = at + ((buffer[at] as number) & 15) * 4
  if (end - at < IPV4_BYTES || ports < at + IPV4_BYTES || ports + 8 > end) return
  if (u32(buffer, at + 12) !== u32(buffer, ip + 16) || u32(buffer, at + 16) !== u32(buffer, ip + 12)) return
  const protocol = buffer[at + 9] as number
  const isEcho = protocol === PROTOCOL.icmp && (buffer[ports] === ECHO || buffer[ports] === ECHO_REPLY)
  if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp && !isEcho) return
  read.isError = true
  read.protocol = protocol
  read.source = u16(buffer, ports + (isEcho ? 4 : 2))
  read.destination = u16(buffer, ports + (isEcho ? 4 : 0))
}

/** The flow of a packet between the guest that `policy` is for and `peer`, begun when there is none; null for what has none. */
export function flowOf(policy: PortPolicy, direction: 'out' | 'in', ports: PacketPorts, peer: number): Flow | null {
  const { protocol, source, destination, begins, isError } = ports
  const guestPort = direction === 'out' ? source : destination
  const peerPort = direction === 'out' ? destination : source
  const known = policy.flows.find(protocol, peer, guestPort, peerPort)
  if (known) {
    // a packet from the middle was taken for one of the other side's connection: whoever begins one is asked for it
    const isOther = begins && protocol === PROTOCOL.tcp && known.direction !== direction
    if (!isOther) return known
    policy.flows.remove(known)
  }
  // an answer to nothing, or an error about something else
  if (isError || (protocol === PROTOCOL.icmp && !begins)) return null
  return policy.begin(direction, begins, protocol, peer, guestPort, peerPort)
}

/** Counts a frame for the guest with its flow. */
export function countDown(flow: Flow, ports: PacketPorts, now: number, bytes: number): void {
  flow.downBytes += bytes
  flow.lastAt = now
  if (flow.direction === 'out') flow.answered = true
  if (ports.ends) flow.closing = true
}
