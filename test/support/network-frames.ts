import { encode, type Packet } from 'dns-packet'
import {
  checksum,
  ETHERNET_BYTES,
  ETHERTYPE,
  folded,
  IPV4_BYTES,
  macBytes,
  PAYLOAD_AT,
  PROTOCOL,
  pseudoSum,
  TCP_BYTES,
  UDP_BYTES,
  wordSum,
  writeHeaders,
} from '../../vmm/net/packet'

const GATEWAY_MAC = macBytes('52:55:0a:56:00:01')
const GUEST_MAC = macBytes('52:54:00:00:00:01')
const [GUEST, GATEWAY] = [0x0a56_0002, 0x0a56_0001]
const HEADER = { to: GATEWAY_MAC, from: GUEST_MAC, source: GUEST, destination: GATEWAY }

/** A UDP datagram as a frame of `bytes` with its header. Different ports are different flows. */
export function udpFrame({ bytes, port = 9 }: { bytes: number; port?: number }): Buffer {
  return udpWith(Buffer.alloc(Math.max(0, bytes - PAYLOAD_AT - UDP_BYTES)), 40_000, port)
}

export function udpWith(payload: Buffer, from: number, to: number): Buffer {
  const frame = ipv4(PROTOCOL.udp, Buffer.concat([Buffer.alloc(UDP_BYTES), payload]))
  frame.writeUInt16BE(from, PAYLOAD_AT)
  frame.writeUInt16BE(to, PAYLOAD_AT + 2)
  frame.writeUInt16BE(payload.length + UDP_BYTES, PAYLOAD_AT + 4)
  writeTransportSum(frame, PROTOCOL.udp, PAYLOAD_AT + 6)
  return frame
}

/** A segment; `flags` as its bits, `options` of a multiple of four bytes. */
export function tcpFrame({ payload = Buffer.alloc(0), flags = 0x10, options = Buffer.alloc(0) } = {}): Buffer {
  const header = Buffer.alloc(TCP_BYTES)
  header.writeUInt16BE(40_000, 0)
  header.writeUInt16BE(80, 2)
  header.writeUInt32BE(0xffff_fff0, 4)
  header.writeUInt32BE(flags & 0x10 ? 77 : 0, 8)
  header.writeUInt16BE((((TCP_BYTES + options.length) / 4) << 12) | flags, 12)
  header.writeUInt16BE(64_240, 14)
  const frame = ipv4(PROTOCOL.tcp, Buffer.concat([header, options, payload]))
  writeTransportSum(frame, PROTOCOL.tcp, PAYLOAD_AT + 16)
  return frame
}

/** An ICMP message; `rest` is what follows type, code and checksum. */
export function icmpFrame(type: number, code: number, rest: Buffer): Buffer {
  const message = Buffer.concat([Buffer.of(type, code, 0, 0), rest])
  message.writeUInt16BE(checksum(message, 0, message.length), 2)
  return ipv4(PROTOCOL.icmp, message)
}

/** `operation` 1 asks for `target`, 2 answers. */
export function arpFrame(operation: number, sender = GUEST, target = GATEWAY): Buffer {
  const frame = Buffer.alloc(60)
  frame.fill(0xff, 0, 6)
  frame.set(GUEST_MAC, 6)
  frame.writeUInt16BE(ETHERTYPE.arp, 12)
  frame.set([0, 1, 8, 0, 6, 4, 0, operation], ETHERNET_BYTES)
  frame.set(GUEST_MAC, ETHERNET_BYTES + 8)
  frame.writeUInt32BE(sender, ETHERNET_BYTES + 14)
  frame.writeUInt32BE(target, ETHERNET_BYTES + 24)
  return frame
}

/** A DHCP message of a type from a guest; the options before the type are a host name. */
export function dhcpFrame(type: number): Buffer {
  const message = Buffer.alloc(240)
  message.set([type === 2 || type === 5 ? 2 : 1, 1, 6, 0], 0)
  message.writeUInt32BE(0x3903_f326, 4)
  message.set(GUEST_MAC, 28)
  message.writeUInt32BE(0x6382_5363, 236)
  const options = Buffer.concat([Buffer.of(12, 5), Buffer.from('guest'), Buffer.of(53, 1, type, 255)])
  return udpWith(Buffer.concat([message, options]), 68, 67)
}

export function dnsFrame(packet: Packet): Buffer {
  const asks = packet.type === 'query'
  return udpWith(encode(packet), asks ? 40_000 : 53, asks ? 53 : 40_000)
}

/** An IPv4 packet in a frame that is as long as frames are at least; padding is behind it. */
export function ipv4(protocol: number, payload: Buffer): Buffer {
  const frame = Buffer.alloc(Math.max(60, PAYLOAD_AT + payload.length))
  writeHeaders(frame, { ...HEADER, protocol }, payload.length)
  frame.set(payload, PAYLOAD_AT)
  return frame
}

function writeTransportSum(frame: Buffer, protocol: number, at: number): void {
  const bytes = frame.readUInt16BE(ETHERNET_BYTES + 2) - IPV4_BYTES
  const pseudo = pseudoSum(GUEST, GATEWAY, protocol, bytes)
  frame.writeUInt16BE(folded(wordSum(frame, PAYLOAD_AT, PAYLOAD_AT + bytes, pseudo)) || 0xffff, at)
}
