import {
  ETHERNET_BYTES,
  folded,
  IPV4_BYTES,
  MTU,
  checksum,
  PAYLOAD_AT,
  PROTOCOL,
  pseudoSum,
  UDP_BYTES,
  wordSum,
  writeHeaders,
  type FrameHeader,
  type Ipv4Packet,
} from './packet'

/** Longest UDP payload that a datagram of IPv4 without options has room for. */
export const UDP_PAYLOAD_MOST = 0xffff - IPV4_BYTES - UDP_BYTES
/** Payload of each fragment but the last: what fits, in units of 8 bytes. */
const FRAGMENT_BYTES = (MTU - IPV4_BYTES) & ~7
const MORE_FRAGMENTS = 0x2000

/** The frames that carry one IPv4 datagram: one, or its fragments in order where it is longer than the MTU. */
export function datagramFrames(header: FrameHeader, payload: Uint8Array): Buffer[] {
  if (payload.length <= MTU - IPV4_BYTES) return [frameOf(header, payload)]
  const frames: Buffer[] = []
  for (let offset = 0; offset < payload.length; offset += FRAGMENT_BYTES) {
    const end = Math.min(offset + FRAGMENT_BYTES, payload.length)
    const frame = frameOf(header, payload.subarray(offset, end))
    markFragment(frame, offset, end < payload.length)
    frames.push(frame)
  }
  return frames
}

function frameOf(header: FrameHeader, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PAYLOAD_AT + payload.length)
  writeHeaders(frame, header, payload.length)
  frame.set(payload, PAYLOAD_AT)
  return frame
}

function markFragment(frame: Buffer, offset: number, more: boolean): void {
  frame.writeUInt16BE((more ? MORE_FRAGMENTS : 0) | (offset >> 3), ETHERNET_BYTES + 6)
  frame.writeUInt16BE(0, ETHERNET_BYTES + 10)
  frame.writeUInt16BE(checksum(frame, ETHERNET_BYTES, PAYLOAD_AT), ETHERNET_BYTES + 10)
}

export interface UdpEnds {
  source: number
  sourcePort: number
  destination: number
  destinationPort: number
}

/** A UDP datagram with its checksum, to be carried by IPv4. */
export function udpDatagram(
  { source, sourcePort, destination, destinationPort }: UdpEnds,
  payload: Uint8Array,
): Buffer {
  const bytes = UDP_BYTES + payload.length
  const datagram = Buffer.allocUnsafe(bytes)
  datagram.writeUInt16BE(sourcePort, 0)
  datagram.writeUInt16BE(destinationPort, 2)
  datagram.writeUInt16BE(bytes, 4)
  datagram.writeUInt16BE(0, 6)
  datagram.set(payload, UDP_BYTES)
  const sum = folded(wordSum(datagram, 0, bytes, pseudoSum(source, destination, PROTOCOL.udp, bytes)))
  datagram.writeUInt16BE(sum === 0 ? 0xffff : sum, 6) // 0 would say 'no checksum'
  return datagram
}

/** What a UDP datagram of a guest carries; `payload` is a part of the packet. */
export interface UdpPacket {
  sourcePort: number
  destinationPort: number
  payload: Buffer
}

/** Null for anything whose length does not fit, whose ports are 0 or whose checksum is wrong. */
export function readUdp({ buffer, payloadAt, end, source, destination }: Ipv4Packet): UdpPacket | null {
  if (end - payloadAt < UDP_BYTES) return null
  const length = buffer.readUInt16BE(payloadAt + 4)
  const sourcePort = buffer.readUInt16BE(payloadAt)
  const destinationPort = buffer.readUInt16BE(payloadAt + 2)
  if (length < UDP_BYTES || length > end - payloadAt || sourcePort === 0 || destinationPort === 0) return null
  const datagramEnd = payloadAt + length
  const begin = pseudoSum(source, destination, PROTOCOL.udp, length)
  const unchecked = buffer.readUInt16BE(payloadAt + 6) === 0
  if (!unchecked && folded(wordSum(buffer, payloadAt, datagramEnd, begin)) !== 0) return null
  return { sourcePort, destinationPort, payload: buffer.subarray(payloadAt + UDP_BYTES, datagramEnd) }
}
