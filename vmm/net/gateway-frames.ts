import {
  ETHERNET_BYTES,
  FRAME_MOST,
  folded,
  IPV4_BYTES,
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
const MORE_FRAGMENTS = 0x2000

/** The frames that carry one IPv4 datagram: one, or its fragments in order where it is longer than the MTU. */
export function datagramFrames(header: FrameHeader, payload: Uint8Array): Buffer[] {
  const frame = Buffer.allocUnsafe(PAYLOAD_AT + payload.length)
  writeHeaders(frame, header, payload.length)
  frame.set(payload, PAYLOAD_AT)
  return frame.length <= FRAME_MOST ? [frame] : fragmentsOf(frame)
}

/**
 * The frames that a frame longer than the MTU is carried in (RFC 791, 3.2). It holds one whole IPv4 packet whose lengths
 * are right, and nothing behind it. Each fragment has all options of the packet.
 */
export function fragmentsOf(frame: Buffer): Buffer[] {
  const payloadAt = ETHERNET_BYTES + ((frame[ETHERNET_BYTES] as number) & 15) * 4
  const most = (FRAME_MOST - payloadAt) & ~7
  const frames: Buffer[] = []
  for (let at = payloadAt; at < frame.length; at += most) {
    const end = Math.min(at + most, frame.length)
    const fragment = Buffer.concat([frame.subarray(0, payloadAt), frame.subarray(at, end)])
    fragment.writeUInt16BE(fragment.length - ETHERNET_BYTES, ETHERNET_BYTES + 2)
    fragment.writeUInt16BE((end < frame.length ? MORE_FRAGMENTS : 0) | ((at - payloadAt) >> 3), ETHERNET_BYTES + 6)
    fragment.writeUInt16BE(0, ETHERNET_BYTES + 10)
    fragment.writeUInt16BE(checksum(fragment, ETHERNET_BYTES, payloadAt), ETHERNET_BYTES + 10)
    frames.push(fragment)
  }
  return frames
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
