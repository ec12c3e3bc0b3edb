import { checksum, IPV4_BYTES, PROTOCOL, type Ipv4Packet } from './packet'

const ECHO_REPLY = 0
const ECHO_REQUEST = 8
const HEADER_BYTES = 8
/** How much of what an error is about goes with it, header included (RFC 1812 4.3.2.3: as much as fits in 576). */
const QUOTE_MOST = 576 - IPV4_BYTES - HEADER_BYTES

/** Errors that a guest is told, by type and code (RFC 792, RFC 1812). */
export const ICMP_ERROR = {
  netUnreachable: [3, 0],
  hostUnreachable: [3, 1],
  protocolUnreachable: [3, 2],
  portUnreachable: [3, 3],
  prohibited: [3, 13],
  timeExceeded: [11, 0],
} as const
export type IcmpError = keyof typeof ICMP_ERROR

/** What answers a ping, to be carried by IPv4; null for anything but a whole echo request. */
export function echoReply({ buffer, payloadAt, end }: Ipv4Packet): Buffer | null {
  if (end - payloadAt < HEADER_BYTES || buffer[payloadAt] !== ECHO_REQUEST || buffer[payloadAt + 1] !== 0) return null
  if (checksum(buffer, payloadAt, end) !== 0) return null
  const reply = Buffer.from(buffer.subarray(payloadAt, end))
  reply[0] = ECHO_REPLY
  return withChecksum(reply)
}

/** An error about a packet of which `quote` is the beginning, header first; to be carried by IPv4. */
export function icmpError(error: IcmpError, quote: Uint8Array): Buffer {
  const quoted = quote.subarray(0, QUOTE_MOST)
  const message = Buffer.alloc(HEADER_BYTES + quoted.length)
  const [type, code] = ICMP_ERROR[error]
  message[0] = type
  message[1] = code
  message.set(quoted, HEADER_BYTES)
  return withChecksum(message)
}

/** Whether a packet may be answered by an error: errors and whatever is not a beginning never are (RFC 1122 3.2.2). */
export function deservesError({ protocol, buffer, payloadAt, end, fragmentOffset }: Ipv4Packet): boolean {
  if (fragmentOffset !== 0) return false
  return protocol !== PROTOCOL.icmp || (end > payloadAt && buffer[payloadAt] === ECHO_REQUEST)
}

function withChecksum(message: Buffer): Buffer {
  message.writeUInt16BE(0, 2)
  message.writeUInt16BE(checksum(message, 0, message.length), 2)
  return message
}
