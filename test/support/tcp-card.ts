import { parseAddress } from '../../vmm/model/ipv4'
import type { Clock } from '../../vmm/net/clock'
import type { GatewayClient } from '../../vmm/net/gateway-client'
import { macBytes, readIpv4 } from '../../vmm/net/packet'
import type { TcpGateway } from '../../vmm/net/tcp-gateway'
import { TcpPeer, type PeerOptions } from './tcp-peer'
import { readWire, type WireEnds, type WireSegment } from './tcp-wire'
import { realClock } from './real-clock'

/** A guest's card before a gateway, with any number of TCP endpoints behind it. */
export class TcpCard {
  readonly client: GatewayClient
  /** Segments that no endpoint is there for. */
  stray: (WireSegment & WireEnds)[] = []
  /** Whether the way to the guest takes frames. */
  room = true
  heldBack = 0
  readonly #peers = new Map<string, TcpPeer>()
  readonly #listeners = new Set<() => void>()

  constructor(
    private readonly gateway: Pick<TcpGateway, 'receive'>,
    readonly address: string,
    private readonly clock: Clock = realClock,
  ) {
    const verdict = { action: 'allow', rule: '', index: -1, logged: [] } as const
    this.client = {
      id: `card of ${address}`,
      mac: macBytes('52:54:00:00:00:01'),
      address: parseAddress(address)!,
      send: (frame) => this.#take(frame),
      hasRoom: () => this.room,
      onRoom: (listener) => {
        this.#listeners.add(listener)
        return () => void this.#listeners.delete(listener)
      },
      mayResolve: () => verdict,
      mayLeadTo: () => false,
      pin: () => {},
      denied: () => {},
    }
  }

  get listeners(): number {
    return this.#listeners.size
  }

  /** An endpoint of the guest, which calls or waits to be called. */
  peer(
    guestPort: number,
    other: string,
    otherPort: number,
    options: Partial<Omit<PeerOptions, 'clock' | 'ends' | 'ports' | 'emit'>> = {},
  ): TcpPeer {
    const peer = new TcpPeer({
      clock: this.clock,
      ends: { source: this.address, destination: other },
      ports: { guest: guestPort, peer: otherPort },
      // the gateway hears of it in a turn of its own, as it would of a frame from a link
      emit: (frame) => setImmediate(() => this.send(frame)),
      ...options,
    })
    this.#peers.set(`${guestPort} ${other} ${otherPort}`, peer)
    return peer
  }

  /** A frame of the guest reaches the gateway. */
  send(frame: Buffer): void {
    const packet = readIpv4(frame, 14, frame.length)
    if (packet) this.gateway.receive(this.client, packet)
  }

  openRoom(): void {
    this.room = true
    for (const listener of [...this.#listeners]) listener()
  }

  #take(frame: Buffer): boolean {
    if (!this.room) {
      this.heldBack++
      return false
    }
    const segment = readWire(frame)
    if (segment.destination !== this.address) throw new Error(`a frame for ${segment.destination}`)
    const peer = this.#peers.get(`${segment.destinationPort} ${segment.source} ${segment.sourcePort}`)
    if (peer) setImmediate(() => peer.take(frame))
    else this.stray.push(segment)
    return true
  }
}
