import { folded, IPV4_BYTES, PAYLOAD_AT, PROTOCOL, TCP_BYTES, wordSum, writeHeaders } from './packet'
import { payloadSum } from './tcp-checksum'
import { FLAG } from './tcp-segment'
import type { SendQueue } from './tcp-send-queue'
import { plus } from './tcp-sequence'

/** Both ends of a connection as the guest's frames name them. */
export interface TcpPath {
  guestMac: Uint8Array
  gatewayMac: Uint8Array
  /** Who the guest takes for its peer. */
  peer: number
  peerPort: number
  guest: number
  guestPort: number
  /** Largest payload that a frame of the link has room for, bytes; without one that of an MTU of 1500. */
  segmentBytes?: number
}

/** What an answer without payload says. */
export interface ControlSegment {
  sequence: number
  acknowledged: number
  flags: number
  /** As it goes into the header, scaled. */
  window: number
  options?: Uint8Array
}

const HEADERS = PAYLOAD_AT + TCP_BYTES
/**
 * Frames that are built together lie one after the other in one buffer, each with so many bytes of its own before it:
 * room for the length that a frame link writes there, so that the lot can go in one write.
 */
export const FRAME_HEADROOM = 4
const NO_OPTIONS = new Uint8Array(0)

/** Builds the frames to the guest of one connection. */
export class TcpFrames {
  /** All headers of a segment without options; what changes from one to the next is zero. */
  readonly #template = Buffer.alloc(HEADERS)
  /** Sums of what does not change: of the IPv4 header, and of ports and pseudo header. */
  readonly #ipSum: number
  readonly #tcpSum: number

  constructor({ guestMac, gatewayMac, peer, peerPort, guest, guestPort }: TcpPath) {
    const template = this.#template
    const header = { to: guestMac, from: gatewayMac, source: peer, destination: guest, protocol: PROTOCOL.tcp }
    writeHeaders(template, header, 0)
    template.writeUInt16BE(0, PAYLOAD_AT - IPV4_BYTES + 2)
    template.writeUInt16BE(0, PAYLOAD_AT - IPV4_BYTES + 10)
    template.writeUInt16BE(peerPort, PAYLOAD_AT)
    template.writeUInt16BE(guestPort, PAYLOAD_AT + 2)
    this.#ipSum = wordSum(template, PAYLOAD_AT - IPV4_BYTES, PAYLOAD_AT)
    this.#tcpSum = wordSum(template, PAYLOAD_AT - 8, PAYLOAD_AT + 4) + PROTOCOL.tcp
  }

  /** A frame without payload. */
  control({ sequence, acknowledged, flags, window, options = NO_OPTIONS }: ControlSegment): Buffer {
    const buffer = Buffer.allocUnsafe(FRAME_HEADROOM + HEADERS + options.length)
    const at = FRAME_HEADROOM
    this.#begin(buffer, at, sequence, acknowledged, window)
    buffer.set(options, at + HEADERS)
    this.#finish(buffer, at, options.length, options.length, flags)
    return buffer.subarray(at)
  }

  /**
   * Hands frames of at most `mss` payload bytes with `bytes` of the queue from `offset` on to `send`; the last one
   * has the flags of `lastFlags` besides.
   */
  data(
    { queue, offset, bytes, mss }: { queue: SendQueue; offset: number; bytes: number; mss: number },
    { sequence, acknowledged, flags: lastFlags, window }: ControlSegment,
    send: (frame: Buffer) => void,
  ): void {
    const segments = Math.max(1, Math.ceil(bytes / mss))
    const buffer = Buffer.allocUnsafe(segments * (FRAME_HEADROOM + HEADERS) + bytes)
    let at = FRAME_HEADROOM
    for (let done = 0, segment = 1; segment <= segments; segment++) {
      const payload = Math.min(mss, bytes - done)
      this.#begin(buffer, at, plus(sequence, done), acknowledged, window)
      if (payload > 0) queue.copy(offset + done, payload, buffer, at + HEADERS)
      this.#finish(buffer, at, 0, payload, segment === segments ? FLAG.ack | lastFlags : FLAG.ack)
      const end = at + HEADERS + payload
      send(buffer.subarray(at, end))
      at = end + FRAME_HEADROOM
      done += payload
    }
  }

  #begin(buffer: Buffer, at: number, sequence: number, acknowledged: number, window: number): void {
    buffer.set(this.#template, at)
    put32(buffer, at + PAYLOAD_AT + 4, sequence)
    put32(buffer, at + PAYLOAD_AT + 8, acknowledged)
    put16(buffer, at + PAYLOAD_AT + 14, window)
  }

  /** Fills in lengths, flags and checksums; `bytes` is what follows the header of 20 bytes, options among it. */
  #finish(buffer: Buffer, at: number, optionBytes: number, bytes: number, flags: number): void {
    const tcp = at + PAYLOAD_AT
    const length = IPV4_BYTES + TCP_BYTES + bytes
    put16(buffer, tcp - IPV4_BYTES + 2, length)
    put16(buffer, tcp - IPV4_BYTES + 10, folded(this.#ipSum + length))
    buffer[tcp + 12] = (TCP_BYTES + optionBytes) << 2
    buffer[tcp + 13] = flags
    const sum = wordSum(buffer, tcp + 4, tcp + 16, this.#tcpSum) + TCP_BYTES + bytes
    put16(buffer, tcp + 16, folded(sum + payloadSum(buffer, tcp + TCP_BYTES, tcp + TCP_BYTES + bytes)))
  }
}

function put16(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 8
  buffer[at + 1] = value
}

function put32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
}
