import { createSocket, type Socket } from 'node:dgram'
import type { Forward } from '../model/network'
import type { Clock } from './clock'
import { forwardError, type OpenForward } from './gateway-forward'

/** Callers of one forward that are known at a time; the one that was silent longest makes room. */
const CALLERS_MOST = 256
const IDLE_MS = 180_000
/** Ports of the gateway at which guests see callers: those that nobody else has a meaning for. */
const FIRST_PORT = 49_152
const LAST_PORT = 65_535
/** What may wait in the host's queue, bytes. */
const QUEUE_MOST = 1 << 20

interface Caller {
  readonly address: string
  readonly port: number
  /** Port of the gateway at which the guest sees it. */
  readonly gatewayPort: number
  usedAt: number
}

/** A UDP port of the host that leads to a guest; each caller has a port of the gateway, by which answers find back. */
export interface OpenUdpForward extends OpenForward {
  /** Hands the answer of the guest to the caller behind a port of the gateway; false when there is none. */
  answer(gatewayPort: number, payload: Uint8Array): boolean
  /** Whether a port of the gateway stands for a caller. */
  hasCaller(gatewayPort: number): boolean
  /** Forgets callers by their port of the gateway. */
  abort(match: (gatewayPort: number) => boolean): void
  callers(): number
}

/** `deliver` carries a datagram to the guest from a port of the gateway. */
export function openUdpForward(
  clock: Clock,
  forward: Forward,
  deliver: (gatewayPort: number, payload: Buffer) => void,
): Promise<OpenUdpForward> {
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, found) => found(null, host, 4) })
  const callers = new Callers(clock)
  socket.on('message', (payload, { address, port }) => deliver(callers.portOf(address, port), payload))
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close()
      reject(forwardError(error, forward))
    })
    socket.bind({ address: forward.hostAddress, port: forward.hostPort, exclusive: true }, () => {
      socket.removeAllListeners('error').on('error', () => {}) // of one datagram, which is lost
      resolve({
        forward,
        answer: (gatewayPort, payload) => answer(socket, callers.at(gatewayPort), payload),
        hasCaller: (gatewayPort) => callers.at(gatewayPort) !== null,
        abort: (match) => callers.abort(match),
        callers: () => callers.size,
        close: () => new Promise((closed) => socket.close(closed)),
      })
    })
  })
}

function answer(socket: Socket, caller: Caller | null, payload: Uint8Array): boolean {
  if (!caller) return false
  if (socket.getSendQueueSize() <= QUEUE_MOST) socket.send(Buffer.from(payload), caller.port, caller.address, () => {}) // lost, as datagrams may be
  return true
}

class Callers {
  private readonly byEnd = new Map<string, Caller>()
  private readonly byPort = new Map<number, Caller>()
  private nextPort: number

  constructor(private readonly clock: Clock) {
    this.nextPort = FIRST_PORT + (clock.random32() % (LAST_PORT - FIRST_PORT + 1))
  }

  get size(): number {
    return this.byEnd.size
  }

  portOf(address: string, port: number): number {
    const key = `${address}:${port}`
    const caller = this.byEnd.get(key) ?? this.add(key, address, port)
    caller.usedAt = this.clock.now()
    return caller.gatewayPort
  }

  at(gatewayPort: number): Caller | null {
    const caller = this.byPort.get(gatewayPort)
    if (!caller) return null
    if (caller.usedAt + IDLE_MS < this.clock.now()) {
      this.remove(caller)
      return null
    }
    caller.usedAt = this.clock.now()
    return caller
  }

  abort(match: (gatewayPort: number) => boolean): void {
    for (const caller of this.byEnd.values()) if (match(caller.gatewayPort)) this.remove(caller)
  }

  private add(key: string, address: string, port: number): Caller {
    if (this.byEnd.size >= CALLERS_MOST) this.removeOldest()
    while (this.byPort.has(this.nextPort)) this.step()
    const caller = { address, port, gatewayPort: this.nextPort, usedAt: 0 }
    this.step()
    this.byEnd.set(key, caller)
    this.byPort.set(caller.gatewayPort, caller)
    return caller
  }

  private step(): void {
    this.nextPort = this.nextPort === LAST_PORT ? FIRST_PORT : this.nextPort + 1
  }

  private removeOldest(): void {
    let oldest: Caller | undefined
    for (const caller of this.byEnd.values()) if (!oldest || caller.usedAt < oldest.usedAt) oldest = caller
    if (oldest) this.remove(oldest)
  }

  private remove(caller: Caller): void {
    this.byEnd.delete(`${caller.address}:${caller.port}`)
    this.byPort.delete(caller.gatewayPort)
  }
}
