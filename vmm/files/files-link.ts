import type { Duplex } from 'node:stream'
import type { Clock } from '../net/clock'
import { FrameLink, type FrameLine, type OpenLine } from '../net/frame-link'
import { arpAnswer } from '../net/gateway-arp'
import type { GatewayClient } from '../net/gateway-client'
import { ETHERNET_BYTES, ETHERTYPE, macBytes, PROTOCOL, readIpv4, u16 } from '../net/packet'
import { FRAME_HEADROOM } from '../net/tcp-frames'
import { TcpGateway } from '../net/tcp-gateway'
import { FILES_CARD } from './files-card'

/** Connections of one guest at a time: each mount has one. */
const CONNECTIONS_MOST = 64
const FRAME_MOST = ETHERNET_BYTES + FILES_CARD.mtu
/** Place of the destination port in a TCP header, and where it ends. */
const PORT = { at: 2, end: 4 } as const

export interface FilesLinkOptions {
  /** Where the guest's card for files listens: `Machine.filesCard`. */
  path: string
  clock: Clock
  /** Takes one 9P connection of the guest; it ends the stream when the guest has. */
  serve: (stream: Duplex) => void
  openLine?: OpenLine
}

/**
 * The way of a QEMU guest to its files: dials the card that it has for them, ends its TCP connections to the port of
 * 9P, and drops everything else. There is nobody else on that card: no other guest, no gateway, no host.
 */
export class FilesLink {
  readonly #line: FrameLine
  readonly #tcp: TcpGateway
  readonly #client: GatewayClient
  readonly #server = {
    mac: macBytes(FILES_CARD.serverMac),
    subnet: { address: FILES_CARD.network, bits: FILES_CARD.prefix },
  }
  readonly #roomListeners = new Set<() => void>()
  /** Frames of this turn that lie one after the other in a buffer, with their lengths before them. */
  #run: Buffer | null = null

  constructor({ path, clock, serve, openLine = (line) => new FrameLink(line) }: FilesLinkOptions) {
    this.#client = this.#clientOf()
    this.#tcp = new TcpGateway({
      clock,
      gatewayMac: this.#server.mac,
      gatewayAddress: FILES_CARD.server,
      segmentBytes: FILES_CARD.segmentBytes,
      uplink: true,
      // nothing but the port of 9P comes so far
      local: () => (stream) => this.#serve(stream, serve),
    })
    this.#line = openLine({
      path,
      onFrame: (buffer, at, end) => this.#take(buffer, at, end),
      onChunkEnd: () => undefined,
      onDrain: () => {
        for (const listener of this.#roomListeners) listener()
      },
    })
  }

  /** Whether the card has been reached. */
  get linked(): boolean {
    return this.#line.linked
  }

  /** Connections that are open or opening. */
  get connections(): number {
    return this.#tcp.counts().connections
  }

  /** Ends all connections without a word to the guest. */
  close(): void {
    this.#tcp.close()
    this.#line.close()
  }

  #serve(stream: Duplex, serve: (stream: Duplex) => void): void {
    if (this.connections > CONNECTIONS_MOST) {
      stream.destroy()
      return
    }
    stream.once('end', () => stream.end())
    serve(stream)
  }

  #clientOf(): GatewayClient {
    return {
      id: 'files',
      mac: macBytes(FILES_CARD.guestMac),
      address: FILES_CARD.guest,
      send: (frame) => this.#send(frame),
      hasRoom: () => this.#line.hasRoom,
      onRoom: (listener) => {
        this.#roomListeners.add(listener)
        return () => this.#roomListeners.delete(listener)
      },
      // there are no names on this link
      mayResolve: () => ({ action: 'deny', rule: '', index: -1, logged: [] }),
      mayLeadTo: () => false,
      pin: () => undefined,
      denied: () => undefined,
    }
  }

  #take(buffer: Buffer, at: number, end: number): void {
    if (end - at < ETHERNET_BYTES || end - at > FRAME_MOST) return
    const type = u16(buffer, at + 12)
    if (type === ETHERTYPE.arp) this.#answerArp(buffer, at, end)
    if (type !== ETHERTYPE.ipv4) return
    const packet = readIpv4(buffer, at + ETHERNET_BYTES, end)
    if (packet?.protocol !== PROTOCOL.tcp || packet.fragmentOffset > 0 || packet.moreFragments) return
    if (packet.source !== FILES_CARD.guest || packet.destination !== FILES_CARD.server) return
    const { payloadAt } = packet
    if (packet.end < payloadAt + PORT.end || u16(buffer, payloadAt + PORT.at) !== FILES_CARD.port) return
    this.#tcp.receive(this.#client, packet)
  }

  #answerArp(buffer: Buffer, at: number, end: number): void {
    const answer = arpAnswer(this.#client, this.#server, buffer, at, end)
    if (answer && this.#line.hasRoom) this.#line.send(answer, 0, answer.length)
  }

  /** Takes a frame of ours, whose length goes into the room before it; those that were built together go together. */
  #send(frame: Buffer): boolean {
    if (!this.#line.linked || this.#line.isFull) return false
    const whole = Buffer.from(frame.buffer, frame.byteOffset - FRAME_HEADROOM, FRAME_HEADROOM + frame.length)
    whole.writeUInt32BE(frame.length, 0)
    const run = this.#run
    if (run?.buffer === whole.buffer && run.byteOffset + run.length === whole.byteOffset) {
      this.#run = Buffer.from(run.buffer, run.byteOffset, run.length + whole.length)
      return true
    }
    if (run === null) process.nextTick(this.#flush)
    this.#flush()
    this.#run = whole
    return true
  }

  readonly #flush = (): void => {
    const run = this.#run
    this.#run = null
    if (run) this.#line.write(run)
  }
}
