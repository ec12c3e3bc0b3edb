import { icmpError } from '../../vmm/net/gateway-icmp'
import { datagramFrames, udpDatagram } from '../../vmm/net/gateway-frames'
import {
  checksum,
  ETHERNET_BYTES,
  ETHERTYPE,
  folded,
  macBytes,
  PROTOCOL,
  pseudoSum,
  TCP_BYTES,
  wordSum,
} from '../../vmm/net/packet'
import type { ScriptedNic } from './scripted-nic'

export const FLAG = { fin: 1, syn: 2, rst: 4, ack: 16 } as const

/** Somebody on an Ethernet: a neighbour, or the gateway. */
export interface Station {
  readonly mac: Uint8Array
  readonly address: number
}

export interface TcpFacts {
  from?: number
  to?: number
  flags?: number
  seq?: number
  ack?: number
  payload?: Uint8Array
}

/** A guest behind a scripted card: makes the frames that its own network code would. */
export class SwitchedGuest implements Station {
  readonly mac: Uint8Array
  #pings = 0
  #ids = 0

  constructor(
    readonly nic: ScriptedNic,
    mac: string,
    readonly address: number,
    readonly gateway: Station,
  ) {
    this.mac = macBytes(mac)
  }

  /** The frames of a payload of IPv4, fragments where it is long. */
  ipv4(to: Station, protocol: number, payload: Uint8Array): Buffer[] {
    const ends = { source: this.address, destination: to.address, to: to.mac, from: this.mac }
    return datagramFrames({ ...ends, protocol, id: ++this.#ids & 0xffff }, payload)
  }

  tcp(to: Station, facts: TcpFacts = {}): Buffer {
    const { from = 40_000, to: port = 80, flags = FLAG.syn, seq = 1000, ack = 0, payload = Buffer.alloc(0) } = facts
    const segment = Buffer.concat([Buffer.alloc(TCP_BYTES), payload])
    segment.writeUInt16BE(from, 0)
    segment.writeUInt16BE(port, 2)
    segment.writeUInt32BE(seq, 4)
    segment.writeUInt32BE(ack, 8)
    segment[12] = (TCP_BYTES / 4) << 4
    segment[13] = flags
    segment.writeUInt16BE(64_240, 14)
    const pseudo = pseudoSum(this.address, to.address, PROTOCOL.tcp, segment.length)
    segment.writeUInt16BE(folded(wordSum(segment, 0, segment.length, pseudo)), 16)
    return this.ipv4(to, PROTOCOL.tcp, segment)[0] as Buffer
  }

  udp(to: Station, port: number, payload: Uint8Array | string = 'hello', from = 5000): Buffer[] {
    const ends = { source: this.address, destination: to.address, sourcePort: from, destinationPort: port }
    return this.ipv4(to, PROTOCOL.udp, udpDatagram(ends, Buffer.from(payload)))
  }

  /** An echo request, or its reply. */
  ping(to: Station, id: number, sequence = 1, type = 8): Buffer {
    const message = Buffer.alloc(40)
    message[0] = type
    message.writeUInt16BE(id, 4)
    message.writeUInt16BE(sequence, 6)
    message.writeUInt16BE(checksum(message, 0, message.length), 2)
    return this.ipv4(to, PROTOCOL.icmp, message)[0] as Buffer
  }

  /** The answer that nobody listens at a port, about a frame that came. */
  unreachable(to: Station, about: Buffer): Buffer {
    const error = icmpError('portUnreachable', about.subarray(ETHERNET_BYTES, ETHERNET_BYTES + 28))
    return this.ipv4(to, PROTOCOL.icmp, error)[0] as Buffer
  }

  /** `operation` 1 asks everybody for an address, 2 answers. */
  arp(operation: number, target: number, { mac = this.mac, address = this.address } = {}): Buffer {
    const frame = Buffer.alloc(60)
    frame.fill(0xff, 0, 6)
    frame.set(this.mac, 6)
    frame.writeUInt16BE(ETHERTYPE.arp, 12)
    frame.set([0, 1, 8, 0, 6, 4, 0, operation], ETHERNET_BYTES)
    frame.set(mac, ETHERNET_BYTES + 8)
    frame.writeUInt32BE(address, ETHERNET_BYTES + 14)
    frame.writeUInt32BE(target, ETHERNET_BYTES + 24)
    return frame
  }

  /**
   * Resolves when all that it sent so far was switched, and all that was sent to it so far has come: the gateway
   * answers everybody, and nothing overtakes on a card's line.
   */
  async isSettled(): Promise<void> {
    const sequence = ++this.#pings & 0xffff
    this.nic.send(this.ping(this.gateway, 0xffff, sequence))
    await this.nic.frame((frame) => isReply(frame, sequence))
  }

  /** What has come since the last time. */
  take(): Buffer[] {
    return this.nic.frames.splice(0)
  }
}

function isReply(frame: Buffer, sequence: number): boolean {
  const icmp = frame.readUInt16BE(12) === ETHERTYPE.ipv4 && frame[23] === PROTOCOL.icmp && frame[34] === 0
  return icmp && frame.readUInt16BE(38) === 0xffff && frame.readUInt16BE(40) === sequence
}
