import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from './clock'
import { TcpConnection } from './tcp-connection'
import type { TcpPath } from './tcp-frames'
import type { TcpGuest, TcpMember } from './tcp-guest'
import type { CloseReason, TcpHost, TcpWay } from './tcp-host'
import type { Keeping } from './tcp-receiver'
import { StreamWriter } from './tcp-stream-writer'

/** Joins a guest's connection to a stream of the host, with the pressure of either side felt on the other. */
export class TcpJoint implements TcpHost, TcpWay, TcpMember {
  readonly connection: TcpConnection
  unsettled = false
  #stream: Duplex | null = null
  #writer: StreamWriter | null = null
  #halfOpen = true
  #ended = false
  #held = 0

  constructor(
    clock: Clock,
    readonly path: TcpPath,
    private readonly guest: TcpGuest,
    /** Called when it is over; `opened` tells whether both sides ever stood. */
    private readonly over: (reason: CloseReason, opened: boolean) => void,
  ) {
    this.connection = new TcpConnection(clock, path, this, this)
    guest.add(this)
    guest.halfOpen++
  }

  /** Takes the host's stream, which may still have to connect. An error before the handshake goes to `failed`. */
  join(stream: Duplex, failed: (error: NodeJS.ErrnoException) => void): void {
    this.#stream = stream
    stream.allowHalfOpen = true
    this.#writer = new StreamWriter(stream, () => {
      this.#account()
      this.connection.drained()
    })
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (this.connection.state === 'opening') failed(error)
      else this.connection.abort()
    })
    stream.on('close', () => {
      if (!this.#ended) this.connection.abort()
    })
  }

  send(frame: Buffer): boolean {
    const sent = this.guest.client.send(frame)
    if (!sent) this.guest.waitForRoom(this)
    return sent
  }

  hasRoom(): boolean {
    const room = this.guest.client.hasRoom()
    if (!room) this.guest.waitForRoom(this)
    return room
  }

  get keeping(): Keeping {
    if (this.guest.isFull && this.pending > 0) return 'nothing'
    return this.guest.isCrowded ? 'in order' : 'all'
  }

  get windowMost(): number {
    return this.guest.share
  }

  get pending(): number {
    return this.#writer?.pending ?? 0
  }

  push(buffer: Buffer, at: number, end: number): void {
    if (!this.#stream?.writableEnded) this.#writer?.push(buffer, at, end)
  }

  established(): void {
    this.#endHalfOpen()
    this.#stream?.on('data', this.#read)
    this.#stream?.on('end', () => {
      this.#ended = true
      this.connection.end()
      this.connection.settle()
    })
  }

  settled(): void {
    this.#writer?.flush()
    this.#account()
    if (this.#stream?.isPaused() && this.connection.queued < this.guest.share / 2) this.#stream.resume()
    // the host went away altogether: what the guest says has nowhere to go
    if (this.#stream?.destroyed && this.pending > 0) this.connection.abort()
  }

  ended(): void {
    this.#writer?.finish()
  }

  lingers(): void {
    this.guest.linger(this)
  }

  closed(reason: CloseReason): void {
    const opened = !this.#halfOpen
    this.#endHalfOpen()
    if (reason === 'done') this.#writer?.flush()
    else resetAndDestroy(this.#stream)
    this.#account()
    this.guest.remove(this)
    this.over(reason, opened)
  }

  readonly #read = (chunk: Buffer): void => {
    this.connection.write(chunk)
    if (this.connection.queued >= this.guest.share) this.#stream?.pause()
    this.connection.settle()
  }

  #endHalfOpen(): void {
    if (this.#halfOpen) this.guest.halfOpen--
    this.#halfOpen = false
  }

  /** Tells the guest's account what is held now. */
  #account(): void {
    const held = this.connection.state === 'closed' ? 0 : this.pending + this.connection.queued + this.connection.early
    this.guest.held += held - this.#held
    this.#held = held
  }
}

/** Ends a stream of the host as a reset ends a connection. */
export function resetAndDestroy(stream: Duplex | null): void {
  const socket = stream as Socket | null
  // one that still connects would do so first
  if (typeof socket?.resetAndDestroy === 'function' && !socket.connecting) socket.resetAndDestroy()
  else socket?.destroy()
}
