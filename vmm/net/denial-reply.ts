import {
  ETHERNET_BYTES,
  folded,
  IPV4_BYTES,
  PAYLOAD_AT,
  PROTOCOL,
  pseudoSum,
  TCP_BYTES,
  u16,
  u32,
  wordSum,
  writeHeaders,
} from './packet'

const RST = 0x04
const ACK = 0x10
/** Destination unreachable, administratively prohibited. (RFC 1812) */
const UNREACHABLE = 3
const PROHIBITED = 13
/** As much of the refused packet as ICMP repeats beyond its header, bytes. */
const REPEATED = 8

/**
 * What tells a guest at once that its packet was refused: a reset for TCP, ICMP for the rest; null for what is never
 * answered. `buffer` holds the refused frame from `at` to `end`, its IPv4 header checked. The answer seems to come from
 * whom the guest has called, by the MAC address that it called.
 */
export function denialReply(buffer: Buffer, at: number, end: number): Buffer | null {
  const ip = at + ETHERNET_BYTES
  const payload = ip + ((buffer[ip] ?? 0) & 15) * 4
  const protocol = buffer[ip + 9]
  const toAll = ((buffer[at] ?? 0) & 1) === 1
  if (toAll) return null
  if (protocol === PROTOCOL.tcp) return reset(buffer, at, payload, ip + u16(buffer, ip + 2))
  // errors are not answered with errors
  if (protocol === PROTOCOL.icmp && ![0, 8, 13].includes(buffer[payload] ?? 0)) return null
  return prohibited(buffer, at, Math.min(payload + REPEATED, end))
}

/** (RFC 9293, 3.10.7.1: the answer to a segment for a connection that does not exist.) */
function reset(buffer: Buffer, at: number, tcp: number, end: number): Buffer | null {
  if (end - tcp < TCP_BYTES) return null
  const flags = buffer[tcp + 13] ?? 0
  if (flags & RST) return null
  const dataAt = tcp + ((buffer[tcp + 12] ?? 0) >> 4) * 4
  const length = Math.max(0, end - dataAt) + (flags & 2 ? 1 : 0) + (flags & 1)
  const frame = answerFrame(buffer, at, PROTOCOL.tcp, TCP_BYTES)
  frame.writeUInt16BE(u16(buffer, tcp + 2), PAYLOAD_AT)
  frame.writeUInt16BE(u16(buffer, tcp), PAYLOAD_AT + 2)
  frame.writeUInt32BE(flags & ACK ? u32(buffer, tcp + 8) : 0, PAYLOAD_AT + 4)
  frame.writeUInt32BE(flags & ACK ? 0 : (u32(buffer, tcp + 4) + length) >>> 0, PAYLOAD_AT + 8)
  frame[PAYLOAD_AT + 12] = (TCP_BYTES / 4) << 4
  frame[PAYLOAD_AT + 13] = flags & ACK ? RST : RST | ACK
  const sum = pseudoSum(u32(frame, 26), u32(frame, 30), PROTOCOL.tcp, TCP_BYTES)
  frame.writeUInt16BE(folded(wordSum(frame, PAYLOAD_AT, frame.length, sum)), PAYLOAD_AT + 16)
  return frame
}

function prohibited(buffer: Buffer, at: number, end: number): Buffer {
  const ip = at + ETHERNET_BYTES
  const frame = answerFrame(buffer, at, PROTOCOL.icmp, 8 + end - ip)
  frame[PAYLOAD_AT] = UNREACHABLE
  frame[PAYLOAD_AT + 1] = PROHIBITED
  buffer.copy(frame, PAYLOAD_AT + 8, ip, end)
  frame.writeUInt16BE(folded(wordSum(frame, PAYLOAD_AT, frame.length)), PAYLOAD_AT + 2)
  return frame
}

/** A frame back to the sender, zero after its headers. */
function answerFrame(buffer: Buffer, at: number, protocol: number, payloadBytes: number): Buffer {
  const ip = at + ETHERNET_BYTES
  const frame = Buffer.alloc(ETHERNET_BYTES + IPV4_BYTES + payloadBytes)
  const header = {
    to: buffer.subarray(at + 6, at + 12),
    from: buffer.subarray(at, at + 6),
    source: u32(buffer, ip + 16),
    destination: u32(buffer, ip + 12),
    protocol,
  }
  writeHeaders(frame, header, payloadBytes)
  return frame
}
