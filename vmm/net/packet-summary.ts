import { formatAddress } from '../model/ipv4'
import { dnsSummary } from './dns-summary'
import { ETHERNET_BYTES, ETHERTYPE, IPV4_BYTES, macText, PROTOCOL, TCP_BYTES, UDP_BYTES } from './packet'

/** One line about a frame, in the words that Wireshark uses. */
export interface FrameSummary {
  protocol: string
  /** Addresses: of IPv4 where there are any, else of Ethernet. */
  source: string
  destination: string
  info: string
}

/** Longest line, UTF-16 units. */
const INFO_MOST = 240

/**
 * What the frame from `at` to `end` is, of which this may be a part only: on its way it had `originalBytes`. Whatever the
 * bytes are, it does not throw, and what it returns is printable ASCII but for an arrow and an ellipsis.
 */
export function summarize(buffer: Buffer, at: number, end: number, originalBytes: number): FrameSummary {
  const frame = buffer.subarray(at, end)
  const summary: FrameSummary = { protocol: 'Ethernet', source: '', destination: '', info: '' }
  try {
    ethernet(summary, frame)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error // reads beyond the end are RangeErrors
    const why = originalBytes > frame.length ? 'Packet size limited during capture' : 'Malformed Packet'
    summary.info = `${summary.info} [${why}]`.trim()
  }
  if (summary.info.length > INFO_MOST) summary.info = `${summary.info.slice(0, INFO_MOST - 1)}…`
  return summary
}

const ETHERTYPE_NAMES: Partial<Record<number, string>> = {
  [ETHERTYPE.ipv6]: 'IPv6',
  0x8100: 'VLAN',
  0x88cc: 'LLDP',
  0x888e: 'EAPOL',
}

function ethernet(summary: FrameSummary, frame: Buffer): void {
  summary.destination = macName(frame, 0)
  summary.source = macName(frame, 6)
  const type = frame.readUInt16BE(12)
  if (type === ETHERTYPE.ipv4) return ipv4(summary, frame.subarray(ETHERNET_BYTES))
  if (type === ETHERTYPE.arp) return arp(summary, frame.subarray(ETHERNET_BYTES))
  summary.protocol = type < 0x600 ? 'LLC' : (ETHERTYPE_NAMES[type] ?? hex(type, 4))
  summary.info = type < 0x600 ? `IEEE 802.3, length ${type}` : `Ethernet II, type ${hex(type, 4)}`
}

function macName(frame: Buffer, at: number): string {
  frame.readUInt8(at + 5)
  const text = macText(frame.subarray(at, at + 6))
  return text === 'ff:ff:ff:ff:ff:ff' ? 'Broadcast' : text
}

/** RFC 826, for IPv4 over Ethernet. */
function arp(summary: FrameSummary, packet: Buffer): void {
  summary.protocol = 'ARP'
  const operation = packet.readUInt16BE(6)
  const [sender, target] = [packet.readUInt32BE(14), packet.readUInt32BE(24)]
  const [from, to] = [formatAddress(sender), formatAddress(target)]
  if (operation === 1 && sender === target) summary.info = `ARP Announcement for ${from}`
  else if (operation === 1) summary.info = `Who has ${to}? Tell ${from}`
  else if (operation === 2) summary.info = `${from} is at ${macText(packet.subarray(8, 14))}`
  else summary.info = `Operation ${operation}`
}

function ipv4(summary: FrameSummary, packet: Buffer): void {
  summary.protocol = 'IPv4'
  const first = packet.readUInt8(0)
  const headerBytes = (first & 15) * 4
  const length = packet.readUInt16BE(2)
  const fragment = packet.readUInt16BE(6)
  const protocol = packet.readUInt8(9)
  summary.source = formatAddress(packet.readUInt32BE(12))
  summary.destination = formatAddress(packet.readUInt32BE(16))
  if (first >> 4 !== 4 || headerBytes < IPV4_BYTES || length < headerBytes) {
    summary.info = `Bogus IPv4 header: version ${first >> 4}, ${headerBytes} bytes of ${length}`
    return
  }
  if ((fragment & 0x3fff) !== 0) {
    const offset = (fragment & 0x1fff) * 8
    summary.info = `Fragmented IP protocol (proto=${protocolName(protocol)} ${protocol}, off=${offset}, ID=${hex(packet.readUInt16BE(4), 4).slice(2)})`
    return
  }
  // padding of the frame is beyond the length that the packet says
  const payload = packet.subarray(headerBytes, length)
  const payloadBytes = length - headerBytes
  if (protocol === PROTOCOL.icmp) icmp(summary, payload, packet.readUInt8(8))
  else if (protocol === PROTOCOL.udp) udp(summary, payload)
  else if (protocol === PROTOCOL.tcp) tcp(summary, payload, payloadBytes)
  else summary.info = `${protocolName(protocol)} (${protocol})`
}

function protocolName(protocol: number): string {
  const names: Partial<Record<number, string>> = { 1: 'ICMP', 2: 'IGMP', 6: 'TCP', 17: 'UDP', 47: 'GRE', 50: 'ESP' }
  return names[protocol] ?? 'Unknown'
}

const UNREACHABLE = ['Network', 'Host', 'Protocol', 'Port']
const PROHIBITED: Partial<Record<number, string>> = {
  4: 'Fragmentation needed',
  9: 'Network administratively prohibited',
  10: 'Host administratively prohibited',
  13: 'Communication administratively filtered',
}

/** RFC 792. */
function icmp(summary: FrameSummary, packet: Buffer, ttl: number): void {
  summary.protocol = 'ICMP'
  const [type, code] = [packet.readUInt8(0), packet.readUInt8(1)]
  if (type === 0 || type === 8) {
    const [id, sequence] = [packet.readUInt16BE(4), packet.readUInt16BE(6)]
    summary.info = `Echo (ping) ${type === 8 ? 'request' : 'reply'}  id=${hex(id, 4)}, seq=${sequence}, ttl=${ttl}`
  } else if (type === 3) {
    const what = UNREACHABLE[code] ? `${UNREACHABLE[code]} unreachable` : (PROHIBITED[code] ?? `code ${code}`)
    summary.info = `Destination unreachable (${what})`
  } else if (type === 11) {
    summary.info = `Time-to-live exceeded (${code === 0 ? 'in transit' : code === 1 ? 'fragment reassembly' : `code ${code}`})`
  } else summary.info = `Type ${type}, code ${code}`
}

function udp(summary: FrameSummary, datagram: Buffer): void {
  summary.protocol = 'UDP'
  const [from, to, length] = [datagram.readUInt16BE(0), datagram.readUInt16BE(2), datagram.readUInt16BE(4)]
  summary.info = `${from} → ${to} Len=${Math.max(0, length - UDP_BYTES)}`
  const payload = datagram.subarray(UDP_BYTES)
  if ([from, to].some((port) => port === 67 || port === 68)) dhcp(summary, payload)
  else if (from === 53 || to === 53) dns(summary, 'DNS', payload)
  else if (from === 5353 || to === 5353) dns(summary, 'MDNS', payload)
}

function dns(summary: FrameSummary, protocol: string, message: Buffer): void {
  summary.protocol = protocol
  summary.info = dnsSummary(message) // an incomplete message keeps the line of UDP
}

const DHCP_COOKIE = 0x6382_5363
const DHCP_OPTIONS_AT = 240
const DHCP_TYPES = ['', 'Discover', 'Offer', 'Request', 'Decline', 'ACK', 'NAK', 'Release', 'Inform']

/** RFC 2131 and RFC 2132. */
function dhcp(summary: FrameSummary, message: Buffer): void {
  summary.protocol = 'DHCP'
  const transaction = hex(message.readUInt32BE(4), 8)
  const isDhcp = message.readUInt32BE(236) === DHCP_COOKIE
  const name = isDhcp ? dhcpType(message) : message.readUInt8(0) === 1 ? 'Boot Request' : 'Boot Reply'
  summary.info = `DHCP ${name.padEnd(8)} - Transaction ID ${transaction}`
}

function dhcpType(message: Buffer): string {
  for (let at = DHCP_OPTIONS_AT; at < message.length;) {
    const code = message.readUInt8(at)
    if (code === 255) break
    if (code === 53) return DHCP_TYPES[message.readUInt8(at + 2)] || `type ${message.readUInt8(at + 2)}`
    at += code === 0 ? 1 : 2 + message.readUInt8(at + 1)
  }
  return 'Unknown'
}

const TCP_FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR']

/** RFC 9293. Numbers are as they are in the packet, not counted from the connection's first. */
function tcp(summary: FrameSummary, segment: Buffer, segmentBytes: number): void {
  summary.protocol = 'TCP'
  summary.info = `${segment.readUInt16BE(0)} → ${segment.readUInt16BE(2)}`
  const [sequence, acknowledged] = [segment.readUInt32BE(4), segment.readUInt32BE(8)]
  const [bits, window] = [segment.readUInt16BE(12), segment.readUInt16BE(14)]
  const headerBytes = (bits >> 12) * 4
  const flags = TCP_FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0)
  const acknowledges = flags.includes('ACK') ? ` Ack=${acknowledged}` : ''
  summary.info += ` [${flags.join(', ') || '<None>'}] Seq=${sequence}${acknowledges} Win=${window}`
  if (headerBytes < TCP_BYTES || headerBytes > segmentBytes) {
    summary.info += ` Bogus header length (${headerBytes})`
    return
  }
  summary.info += ` Len=${segmentBytes - headerBytes}`
  if (flags.includes('SYN')) summary.info += maximumSegment(segment.subarray(TCP_BYTES, headerBytes))
}

function maximumSegment(options: Buffer): string {
  for (let at = 0; at < options.length;) {
    const kind = options.readUInt8(at)
    if (kind === 0) break
    if (kind === 2) return ` MSS=${options.readUInt16BE(at + 2)}`
    at += kind === 1 ? 1 : Math.max(2, options.readUInt8(at + 1))
  }
  return ''
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`
}
