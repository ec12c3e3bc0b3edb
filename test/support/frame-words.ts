import { checksum, ETHERTYPE, folded, PROTOCOL, pseudoSum, readIpv4, u16, u32, wordSum } from '../../vmm/net/packet'
import { formatAddress } from '../../vmm/model/ipv4'

const FLAGS = ['F', 'S', 'R', 'P', 'A', 'U']

/**
 * A frame in a few words for tests to compare, such as `udp 5000>9 hello`, `tcp 80>40000 RA 0 1001`, `icmp 3/13`.
 * What has a wrong checksum says so.
 */
export function frameWords(frame: Buffer): string {
  const type = frame.readUInt16BE(12)
  if (type === ETHERTYPE.arp) {
    const [sender, target] = [u32(frame, 28), u32(frame, 38)].map(formatAddress)
    return `arp ${u16(frame, 20)} ${sender}>${target}`
  }
  const packet = type === ETHERTYPE.ipv4 ? readIpv4(frame, 14, frame.length) : null
  if (!packet) return `other ${type.toString(16)}`
  const { payloadAt: at, end, protocol, source, destination, fragmentOffset, moreFragments } = packet
  if (fragmentOffset > 0 || moreFragments) return `fragment ${fragmentOffset}${moreFragments ? '+' : ''}`
  const isIcmp = protocol === PROTOCOL.icmp
  const sum = isIcmp ? 0 : pseudoSum(source, destination, protocol, end - at)
  const hasSum = isIcmp || protocol === PROTOCOL.tcp || (protocol === PROTOCOL.udp && u16(frame, at + 6) !== 0)
  const fault = hasSum && folded(wordSum(frame, at, end, sum)) !== 0 ? ' (wrong checksum)' : ''
  const ports = `${u16(frame, at)}>${u16(frame, at + 2)}`
  switch (protocol) {
    case PROTOCOL.icmp:
      return `icmp ${frame[at]}/${frame[at + 1]}${fault}`
    case PROTOCOL.udp:
      return `udp ${ports} ${frame.subarray(at + 8, end).toString()}${fault}`
    case PROTOCOL.tcp: {
      const flags = FLAGS.filter((_, bit) => ((frame[at + 13] ?? 0) >> bit) & 1).join('')
      return `tcp ${ports} ${flags} ${u32(frame, at + 4)} ${u32(frame, at + 8)}${fault}`
    }
    default:
      return `protocol ${protocol}`
  }
}

/** Writes the header checksum of the IPv4 packet in a frame anew, after a test has changed the header. */
export function mendChecksum(frame: Buffer): Buffer {
  const bytes = ((frame[14] ?? 0) & 15) * 4
  frame.writeUInt16BE(0, 24)
  frame.writeUInt16BE(checksum(frame, 14, 14 + bytes), 24)
  return frame
}
