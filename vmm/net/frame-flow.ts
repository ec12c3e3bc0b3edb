import { ETHERNET_BYTES, ETHERTYPE, IPV4_BYTES, PROTOCOL } from './packet'

const HALF = 0xffff

/**
 * A number from 0 up to, and without, `buckets` (a power of two) that is the same for all frames of a flow: those with
 * the same addresses, protocol and ports. Fragments count without ports, so that those of a datagram stay together.
 */
export function flowBucket(frame: Buffer, buckets: number): number {
  if (frame.length < ETHERNET_BYTES) return 0
  if (frame.readUInt16BE(12) !== ETHERTYPE.ipv4 || frame.length < ETHERNET_BYTES + IPV4_BYTES) {
    return mix(frame.readUInt32BE(2) ^ frame.readUInt32BE(8), frame.readUInt16BE(12)) & (buckets - 1)
  }
  const protocol = frame[ETHERNET_BYTES + 9] ?? 0
  const addresses = mix(frame.readUInt32BE(ETHERNET_BYTES + 12), frame.readUInt32BE(ETHERNET_BYTES + 16))
  const portsAt = ETHERNET_BYTES + ((frame[ETHERNET_BYTES] ?? 0) & 15) * 4
  const whole = (frame.readUInt16BE(ETHERNET_BYTES + 6) & 0x3fff) === 0
  const hasPorts = whole && (protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp) && portsAt + 4 <= frame.length
  return mix(addresses, hasPorts ? frame.readUInt32BE(portsAt) ^ protocol : protocol) & (buckets - 1)
}

function mix(first: number, second: number): number {
  let mixed = Math.imul(first ^ Math.imul(second, 0x9e37_79b1), 0x85eb_ca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2_ae35)
  return (mixed ^ (mixed >>> 16)) & HALF
}
