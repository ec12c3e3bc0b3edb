import { createSocket, type Socket } from 'node:dgram'
import { errorCode } from '../model/errors'
import { formatAddress } from '../model/ipv4'

/** Datagrams of a guest that are kept until the socket is there. */
const EARLY_MOST = 16
/** What may wait in the host's queue of one flow, bytes; more is lost, as on any full line. */
const QUEUE_MOST = 1 << 20

export interface UdpFlowEvents {
  /** Something came back. The bytes are the listener's. */
  message(payload: Buffer): void
  /** The host reported an error, by its code; `fatal` ends the flow. */
  failed(code: string, fatal: boolean): void
}

/**
 * A socket of the host that stands for a guest's port towards one peer. It is connected, so that the system itself
 * takes replies from that peer alone and reports its ICMP errors.
 */
export class UdpFlowSocket {
  private readonly socket: Socket
  private early: Buffer[] | null = []
  private closed = false

  constructor(
    address: number,
    port: number,
    private readonly events: UdpFlowEvents,
  ) {
    // numbers need no resolver
    this.socket = createSocket({ type: 'udp4', lookup: (host, _options, found) => found(null, host, 4) })
    this.socket.on('message', (payload) => events.message(payload))
    this.socket.on('error', (error) => this.fail(error, this.early !== null))
    this.socket.connect(port, formatAddress(address), (error?: Error) => {
      if (error) this.fail(error, true)
      else this.connected()
    })
  }

  /** Sends `payload`, which is the socket's from now on. */
  send(payload: Buffer): void {
    if (this.closed) return
    if (this.early) {
      if (this.early.length < EARLY_MOST) this.early.push(payload)
      return
    }
    if (this.socket.getSendQueueSize() > QUEUE_MOST) return
    this.socket.send(payload, (error) => {
      if (error) this.fail(error, false)
    })
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.early = null
    this.socket.close()
  }

  private connected(): void {
    const early = this.early ?? []
    this.early = null
    for (const payload of early) this.send(payload)
  }

  private fail(error: Error, fatal: boolean): void {
    if (!this.closed) this.events.failed(errorCode(error) ?? 'UNKNOWN', fatal)
  }
}
