import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Gate } from '../throttle/gate'
import { NbdConnection, type NbdExport, type ServedDisk } from './nbd-connection'

const CONNECTIONS_MOST = 16

/** Serves disks by name on a unix socket that only its owner may reach. (NBD, fixed newstyle) */
export class NbdServer {
  readonly #exports = new Map<string, NbdExport>()
  readonly #connections = new Map<Socket, NbdConnection>()
  readonly #server: Server
  #waiting: (() => void)[] = []
  #held = false

  private constructor(private readonly path: string) {
    this.#server = createServer((socket) => this.#welcome(socket))
    this.#server.maxConnections = CONNECTIONS_MOST
  }

  /** Listens at `path`, in the place of what was left there. The folder must be its owner's alone. */
  static async listen(path: string): Promise<NbdServer> {
    const server = new NbdServer(path)
    rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject)
      server.#server.listen(path, resolve)
    })
    chmodSync(path, 0o600)
    return server
  }

  /** Serves the disk under this name, to clients that come from now on. */
  add(name: string, disk: ServedDisk, gate: Gate): void {
    this.#exports.set(name, {
      disk,
      gate,
      get size() {
        return disk.size
      },
    })
  }

  remove(name: string): void {
    this.#exports.delete(name)
  }

  /** Takes no requests from now on, and resolves when none is in flight. `resume` goes on. */
  async drain(): Promise<void> {
    this.#held = true
    for (const connection of this.#connections.values()) connection.hold()
    while (this.#isBusy()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  resume(): void {
    this.#held = false
    for (const connection of this.#connections.values()) connection.release()
  }

  /** Ends all connections; the disks stay open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#connections.keys()) socket.destroy()
    await closed
    rmSync(this.path, { force: true })
  }

  #welcome(socket: Socket): void {
    const exports = {
      names: () => this.#exports.keys(),
      get: (name: string) => this.#exports.get(name) ?? null,
    }
    const connection = new NbdConnection(socket, exports, () => this.#idle())
    this.#connections.set(socket, connection)
    if (this.#held) connection.hold()
    socket.on('close', () => {
      this.#connections.delete(socket)
      this.#idle()
    })
  }

  #isBusy(): boolean {
    return [...this.#connections.values()].some(({ inFlight }) => inFlight > 0)
  }

  #idle(): void {
    if (this.#isBusy()) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
