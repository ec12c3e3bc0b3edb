/**
 * Ethernet, IPv4 and their neighbours as bytes. Everything reads in place: a packet is a buffer, where it begins and
 * where it ends. (RFC 894, RFC 791, RFC 1071.)
 */

export const ETHERNET_BYTES = 14
/** Longest frame without its length: an Ethernet header and an MTU of 1500. */
export const FRAME_MOST = 1514
export const MTU = 1500
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17 } as const
export const IPV4_BYTES = 20
export const UDP_BYTES = 8
export const TCP_BYTES = 20

/** An IPv4 packet within a buffer, its lengths checked against it. */
export interface Ipv4Packet {
  readonly buffer: Buffer
  /** Where the header begins. */
  readonly at: number
  /** Where what it carries begins and ends; padding of the frame is beyond the end. */
  readonly payloadAt: number
  readonly end: number
  readonly protocol: number
  readonly source: number
  readonly destination: number
  readonly id: number
  readonly ttl: number
  /** Place of the payload in the whole datagram, bytes, and whether more follows. */
  readonly fragmentOffset: number
  readonly moreFragments: boolean
  readonly dontFragment: boolean
}

/** Big-endian numbers, without a check of bounds: for places that are known to be within the buffer. */
export const u16 = (buffer: Uint8Array, at: number): number =>
  ((buffer[at] as number) << 8) | (buffer[at + 1] as number)
export const u32 = (buffer: Uint8Array, at: number): number => ((u16(buffer, at) << 16) | u16(buffer, at + 2)) >>> 0

/** The packet at `at`; null for anything whose lengths do not fit or whose header checksum is wrong. */
export function readIpv4(buffer: Buffer, at: number, end: number): Ipv4Packet | null {
  if (end - at < IPV4_BYTES) return null
  const first = buffer[at] ?? 0
  const headerBytes = (first & 15) * 4
  const length = buffer.readUInt16BE(at + 2)
  if (first >> 4 !== 4 || headerBytes < IPV4_BYTES || length < headerBytes || length > end - at) return null
  if (checksum(buffer, at, at + headerBytes) !== 0) return null
  const fragment = buffer.readUInt16BE(at + 6)
  return {
    buffer,
    at,
    payloadAt: at + headerBytes,
    end: at + length,
    protocol: buffer[at + 9] ?? 0,
    source: buffer.readUInt32BE(at + 12),
    destination: buffer.readUInt32BE(at + 16),
    id: buffer.readUInt16BE(at + 4),
    ttl: buffer[at + 8] ?? 0,
    fragmentOffset: (fragment & 0x1fff) * 8,
    moreFragments: (fragment & 0x2000) !== 0,
    dontFragment: (fragment & 0x4000) !== 0,
  }
}

/** The sum of 16-bit words that checksums are made of, not yet folded; `sum` is what came before. */
export function wordSum(buffer: Uint8Array, at: number, end: number, sum = 0): number {
  const even = end - ((end - at) & 1)
  let total = sum
  // whatever is read past the end would be undefined, and is not
  for (let index = at; index < even; index += 2)
    total += ((buffer[index] as number) << 8) | (buffer[index + 1] as number)
  return even === end ? total : total + ((buffer[even] as number) << 8)
}

/** The Internet checksum from a sum; 0 over what holds its own right checksum. */
export function folded(sum: number): number {
  let total = sum
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x1_0000)
  return ~total & 0xffff
}

export function checksum(buffer: Uint8Array, at: number, end: number): number {
  return folded(wordSum(buffer, at, end))
}

/** The sum over the pseudo header of TCP and UDP. */
export function pseudoSum(source: number, destination: number, protocol: number, bytes: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + bytes
}

export interface FrameHeader {
  /** MAC addresses as 6 bytes each. */
  to: Uint8Array
  from: Uint8Array
  source: number
  destination: number
  protocol: number
  id?: number
  ttl?: number
}

/** Where the payload of a frame that `writeHeaders` began starts. */
export const PAYLOAD_AT = ETHERNET_BYTES + IPV4_BYTES

/** Writes Ethernet and IPv4 headers for `payloadBytes` at the beginning of `frame`. */
export function writeHeaders(frame: Buffer, header: FrameHeader, payloadBytes: number): void {
  frame.set(header.to, 0)
  frame.set(header.from, 6)
  frame.writeUInt16BE(ETHERTYPE.ipv4, 12)
  writeIpv4(frame, ETHERNET_BYTES, header, payloadBytes)
}

/** Writes an IPv4 header without options at `at`. */
export function writeIpv4(
  buffer: Buffer,
  at: number,
  { source, destination, protocol, id = 0, ttl = 64 }: Omit<FrameHeader, 'to' | 'from'>,
  payloadBytes: number,
): void {
  buffer.writeUInt16BE(0x4500, at)
  buffer.writeUInt16BE(IPV4_BYTES + payloadBytes, at + 2)
  buffer.writeUInt16BE(id, at + 4)
  buffer.writeUInt16BE(0x4000, at + 6) // don't fragment
  buffer[at + 8] = ttl
  buffer[at + 9] = protocol
  buffer.writeUInt16BE(0, at + 10)
  buffer.writeUInt32BE(source, at + 12)
  buffer.writeUInt32BE(destination, at + 16)
  buffer.writeUInt16BE(checksum(buffer, at, at + IPV4_BYTES), at + 10)
}

/** `52:54:00:12:34:56` as 6 bytes. */
export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (part) => parseInt(part, 16))
}

export function macText(bytes: Uint8Array): string {
  return [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')
}
