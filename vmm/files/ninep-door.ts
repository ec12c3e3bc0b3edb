import { rmSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { NinepSession, NinepViolation } from './ninep-session'
import { NinepSplitter } from './ninep-splitter'
import type { NinepOptions } from './ninep-state'

/** Replies that the peer has not taken yet: beyond this no more of its requests are done. */
const UNTAKEN_MOST = 1024 * 1024

export interface NinepDoorOptions extends Omit<NinepOptions, 'send'> {
  /** A peer that did not speak 9P2000.L by its rules was turned out. */
  onViolation?: (reason: string) => void
}

export interface NinepCounters {
  requests: number
  /** Of messages, both ways. */
  bytesIn: number
  bytesOut: number
}

/** Serves trees on a socket: a session for each connection. */
export class NinepDoor {
  readonly counters: NinepCounters = { requests: 0, bytesIn: 0, bytesOut: 0 }
  readonly #server: Server
  readonly #connections = new Set<NinepConnection>()

  /** Listens at `address`, a path that only its owner can use; what lies there of a server before is removed. */
  static async listen(address: string, options: NinepDoorOptions): Promise<NinepDoor> {
    const door = new NinepDoor(options)
    const named = process.platform === 'win32'
    if (!named) rmSync(address, { force: true })
    await new Promise<void>((resolve, reject) => {
      door.#server.once('error', reject)
      door.#server.listen(address, resolve)
    })
    if (!named) await chmod(address, 0o600)
    return door
  }

  private constructor(private readonly options: NinepDoorOptions) {
    this.#server = createServer((socket) => this.serve(socket))
  }

  /** Takes a connection that came otherwise than over the socket. */
  serve(stream: Duplex): void {
    const connection = new NinepConnection(stream, this.options, this.counters)
    this.#connections.add(connection)
    stream.once('close', () => this.#connections.delete(connection))
  }

  get sessions(): NinepSession[] {
    return [...this.#connections].map(({ session }) => session)
  }

  /** Resolves when everything that came so far is answered, but for what waits for a lock. */
  async drain(): Promise<void> {
    await Promise.all(this.sessions.map((session) => session.drain()))
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.end()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

class NinepConnection {
  readonly session: NinepSession
  readonly #splitter = new NinepSplitter()
  #stopped = false

  constructor(
    private readonly socket: Duplex,
    private readonly options: NinepDoorOptions,
    private readonly counters: NinepCounters,
  ) {
    this.session = new NinepSession({ ...options, send: (reply) => this.#send(reply) })
    this.session.onRoom = () => this.#goOn()
    socket.on('data', (chunk: Buffer) => {
      this.#splitter.push(chunk)
      this.#pump()
    })
    socket.on('drain', () => this.#goOn())
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.session.close())
  }

  end(): void {
    this.socket.destroy()
  }

  #pump(): void {
    try {
      while (!this.socket.destroyed) {
        if (this.session.full || this.socket.writableLength > UNTAKEN_MOST) {
          this.#stopped = true
          this.socket.pause()
          return
        }
        const message = this.#splitter.next(this.session.longest)
        if (message === null) return
        if (message === -1) throw new NinepViolation('a message of a size that none can have')
        this.counters.requests++
        this.counters.bytesIn += message.length
        this.session.receive(message)
      }
    } catch (error) {
      if (!(error instanceof NinepViolation)) throw error
      this.options.onViolation?.(error.message)
      this.socket.destroy()
    }
  }

  /** What was left of the last chunk comes before what comes next. */
  #goOn(): void {
    if (!this.#stopped) return
    this.#stopped = false
    // not within the answer that made room
    setImmediate(() => {
      this.#pump()
      if (!this.#stopped) this.socket.resume()
    })
  }

  #send(reply: Uint8Array): void {
    this.counters.bytesOut += reply.length
    this.socket.write(reply)
  }
}
