import { folded, pseudoSum, PROTOCOL, TCP_BYTES, type Ipv4Packet } from './packet'
import { payloadSum } from './tcp-checksum'
import { plus } from './tcp-sequence'

export const FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const
/** Kinds of options. (RFC 9293, RFC 7323, RFC 2018) */
const OPTION = { end: 0, none: 1, mss: 2, scale: 3, sackPermitted: 4, sack: 5 } as const
/** As many blocks as fit into the options. */
export const SACK_BLOCKS_MOST = 4
/** RFC 7323, 2.3. */
const SCALE_MOST = 14

/** A TCP segment within a buffer. One object is read into again and again: what outlives a call is copied. */
export class TcpSegment {
  buffer: Buffer = Buffer.alloc(0)
  sourcePort = 0
  destinationPort = 0
  sequence = 0
  /** What it acknowledges; of meaning only with the flag. */
  acknowledged = 0
  flags = 0
  /** As it stands in the header, not scaled. */
  window = 0
  payloadAt = 0
  end = 0
  /** Maximum segment size of the option; 0 without. */
  mss = 0
  /** Shift count of the window scale option; -1 without. */
  scale = -1
  sackPermitted = false
  /** Blocks in `sack`, each as its left and right edge. */
  sackBlocks = 0
  readonly sack = new Uint32Array(SACK_BLOCKS_MOST * 2)

  get payloadBytes(): number {
    return this.end - this.payloadAt
  }

  /** Sequence numbers it takes up: its payload, and one each for SYN and FIN. */
  get length(): number {
    return this.end - this.payloadAt + (this.flags & FLAG.syn ? 1 : 0) + (this.flags & FLAG.fin ? 1 : 0)
  }

  /** The sequence number after it. */
  get next(): number {
    return plus(this.sequence, this.length)
  }

  /** Reads the segment that `packet` carries; false for one whose lengths do not fit or whose checksum is wrong. */
  read(packet: Ipv4Packet): boolean {
    const { buffer, payloadAt: at, end } = packet
    const bytes = end - at
    if (bytes < TCP_BYTES) return false
    const headerBytes = ((buffer[at + 12] as number) >> 4) * 4
    if (headerBytes < TCP_BYTES || headerBytes > bytes) return false
    const sum = pseudoSum(packet.source, packet.destination, PROTOCOL.tcp, bytes)
    if (folded(sum + payloadSum(buffer, at, end)) !== 0) return false
    this.buffer = buffer
    this.sourcePort = buffer.readUInt16BE(at)
    this.destinationPort = buffer.readUInt16BE(at + 2)
    this.sequence = buffer.readUInt32BE(at + 4)
    this.acknowledged = buffer.readUInt32BE(at + 8)
    this.flags = buffer[at + 13] as number
    this.window = buffer.readUInt16BE(at + 14)
    this.payloadAt = at + headerBytes
    this.end = end
    this.#clearOptions()
    if (headerBytes > TCP_BYTES) this.#readOptions(at + TCP_BYTES, this.payloadAt)
    return true
  }

  #clearOptions(): void {
    this.mss = 0
    this.scale = -1
    this.sackPermitted = false
    this.sackBlocks = 0
  }

  /** Takes what it knows; the first option whose length cannot be ends the reading. */
  #readOptions(at: number, end: number): void {
    const { buffer } = this
    for (let place = at; place < end;) {
      const kind = buffer[place] as number
      if (kind === OPTION.end) return
      if (kind === OPTION.none) {
        place++
        continue
      }
      const length = place + 1 < end ? (buffer[place + 1] as number) : 0
      if (length < 2 || place + length > end) return
      this.#readOption(kind, place + 2, length - 2)
      place += length
    }
  }

  #readOption(kind: number, at: number, bytes: number): void {
    if (kind === OPTION.mss && bytes === 2) this.mss = this.buffer.readUInt16BE(at)
    else if (kind === OPTION.scale && bytes === 1) this.scale = Math.min(this.buffer[at] as number, SCALE_MOST)
    else if (kind === OPTION.sackPermitted && bytes === 0) this.sackPermitted = true
    else if (kind === OPTION.sack && bytes % 8 === 0) {
      this.sackBlocks = Math.min(bytes / 8, SACK_BLOCKS_MOST)
      for (let edge = 0; edge < this.sackBlocks * 2; edge++) this.sack[edge] = this.buffer.readUInt32BE(at + edge * 4)
    }
  }
}

/** Options of a SYN: the segment size we take, the shift of our windows, and SACK, for whoever does these too. */
export function synOptions(mss: number, scale: number, sackPermitted: boolean): Uint8Array {
  const options = [OPTION.mss, 4, mss >> 8, mss & 255]
  if (sackPermitted) options.push(OPTION.none, OPTION.none, OPTION.sackPermitted, 2)
  if (scale >= 0) options.push(OPTION.none, OPTION.scale, 3, scale)
  return Uint8Array.from(options)
}

/** SACK option of `blocks` (left, right, left …), padded to whole words. */
export function sackOption(blocks: readonly number[]): Uint8Array {
  const option = new Uint8Array(4 + blocks.length * 4)
  option.set([OPTION.none, OPTION.none, OPTION.sack, 2 + blocks.length * 4])
  const view = new DataView(option.buffer)
  for (const [index, edge] of blocks.entries()) view.setUint32(4 + index * 4, edge)
  return option
}
