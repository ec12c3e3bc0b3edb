import type { GatewayClient } from './gateway-client'
import type { TcpConnection } from './tcp-connection'
import type { TcpPath } from './tcp-frames'

/** Bounds of one guest, which cost the others nothing. */
const CONNECTIONS_MOST = 1024
const HALF_OPEN_MOST = 128
const LINGERING_MOST = 256
/** Beyond this much memory its connections get less, and beyond the second nothing, bytes. */
const HELD_MUCH = 32 * 2 ** 20
const HELD_MOST = 96 * 2 ** 20
/** Largest window, and most bytes on their way to the guest, of one connection, bytes. */
const CONNECTION_BYTES = 2 ** 20
const CONNECTION_BYTES_LEAST = 64 * 1024

/** A connection as it stands in the account of its guest. */
export interface TcpMember {
  readonly path: TcpPath
  readonly connection: TcpConnection
  /** Whether it is among those that wait for the end of a burst. */
  unsettled: boolean
}

/** All connections of a guest, and what they take. */
export class TcpGuest {
  /** By address of the peer, then by both ports. */
  readonly #joints = new Map<number, Map<number, TcpMember>>()
  readonly #waiting = new Set<TcpMember>()
  readonly #lingering = new Set<TcpMember>()
  readonly #endRoom: () => void
  connections = 0
  halfOpen = 0
  /** Bytes of all its connections, both ways. */
  held = 0

  constructor(readonly client: GatewayClient) {
    this.#endRoom = client.onRoom(() => this.#roomAgain())
  }

  get lingering(): number {
    return this.#lingering.size
  }

  get hasPlace(): boolean {
    return this.connections < CONNECTIONS_MOST && this.halfOpen < HALF_OPEN_MOST
  }

  /** How many bytes one connection may have on its way, each way. */
  get share(): number {
    return this.held > HELD_MUCH ? CONNECTION_BYTES_LEAST : CONNECTION_BYTES
  }

  get isFull(): boolean {
    return this.held > HELD_MOST
  }

  get isCrowded(): boolean {
    return this.held > HELD_MUCH
  }

  find(peer: number, peerPort: number, guestPort: number): TcpMember | undefined {
    return this.#joints.get(peer)?.get(guestPort * 0x1_0000 + peerPort)
  }

  add(joint: TcpMember): void {
    const { peer, peerPort, guestPort } = joint.path
    const ports = this.#joints.get(peer) ?? new Map<number, TcpMember>()
    this.#joints.set(peer, ports.set(guestPort * 0x1_0000 + peerPort, joint))
    this.connections++
  }

  remove(joint: TcpMember): void {
    const { peer, peerPort, guestPort } = joint.path
    const ports = this.#joints.get(peer)
    ports?.delete(guestPort * 0x1_0000 + peerPort)
    if (ports?.size === 0) this.#joints.delete(peer)
    this.#waiting.delete(joint)
    if (!this.#lingering.delete(joint)) this.connections--
  }

  /** The connection is over but for a FIN that may come again. It no longer counts; the oldest go first. */
  linger(joint: TcpMember): void {
    this.#lingering.add(joint)
    this.connections--
    const [oldest] = this.#lingering
    if (this.#lingering.size > LINGERING_MOST) oldest?.connection.drop()
  }

  /** The way to the guest was full when `joint` had something for it. */
  waitForRoom(joint: TcpMember): void {
    this.#waiting.add(joint)
  }

  all(): TcpMember[] {
    return [...this.#joints.values()].flatMap((ports) => [...ports.values()])
  }

  /** Ends all without a word to the guest. */
  close(): void {
    this.#endRoom()
    for (const joint of this.all()) joint.connection.drop()
  }

  /** Each in its turn; who does not get all it wants comes last. */
  #roomAgain(): void {
    for (const joint of [...this.#waiting]) {
      if (!this.client.hasRoom()) return
      this.#waiting.delete(joint)
      joint.connection.roomAgain()
    }
  }
}
