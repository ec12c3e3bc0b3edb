import type { Clock } from './clock'
import { Allowance } from './gateway-allowance'
import type { GatewayClient } from './gateway-client'
import type { IcmpError } from './gateway-icmp'
import type { GatewayOutput } from './gateway-output'
import { UdpFlowSocket } from './gateway-udp-flow'
import { IPV4_BYTES, PROTOCOL, UDP_BYTES, writeIpv4 } from './packet'

export const UDP_FLOWS_MOST = 512
/** A flow that nobody answers ends sooner (RFC 4787 wants at least two minutes for the others). */
const UNANSWERED_MS = 30_000
const ANSWERED_MS = 180_000
/** New flows that a guest may begin: sockets cost far more than packets. */
const BEGINS_PER_SECOND = 256
const LOOPBACK = 0x7f00_0001
const ERRORS: Record<string, IcmpError> = {
  ECONNREFUSED: 'portUnreachable',
  ECONNRESET: 'portUnreachable', // as Windows says it
  EHOSTUNREACH: 'hostUnreachable',
  ENETUNREACH: 'netUnreachable',
  EACCES: 'prohibited',
  EPERM: 'prohibited',
}

/** Whether a flow is meant; `peer` and `port` as the guest sees them. */
export type FlowMatch = (flow: { protocol: number; peer: number; port: number; guestPort: number }) => boolean

interface Flow {
  readonly peer: number
  readonly port: number
  readonly guestPort: number
  readonly socket: UdpFlowSocket
  usedAt: number
  answered: boolean
  stopTimer: () => void
}

interface Table {
  readonly flows: Map<string, Flow>
  readonly begins: Allowance
}

/**
 * UDP of guests through sockets of the host, one per flow: each guest port has another port of the host towards every
 * peer (a symmetric NAT, RFC 3489), and only the peer that was called can answer.
 */
export class UdpNat {
  private readonly tables = new Map<string, Table>()
  /** Datagrams towards guests that found no room. */
  private lost = 0

  /** `gateway` is the address at which guests see the host's loopback. */
  constructor(
    private readonly clock: Clock,
    private readonly output: GatewayOutput,
    private readonly gateway: number,
  ) {}

  /** A datagram of a guest to `peer`, which the policy has allowed and which can be dialled. Copies the payload. */
  send(client: GatewayClient, guestPort: number, peer: number, port: number, payload: Uint8Array): void {
    const table = this.tableOf(client)
    const key = `${guestPort}/${peer}/${port}`
    const flow = table.flows.get(key) ?? this.begin(client, table, key, { guestPort, peer, port })
    if (!flow) return
    flow.usedAt = this.clock.now()
    flow.socket.send(Buffer.from(payload))
  }

  /** Ends the flows of a guest that `match` tells, all without one. */
  abort(client: GatewayClient, match: FlowMatch = () => true): void {
    const table = this.tables.get(client.id)
    for (const [key, flow] of table?.flows ?? []) {
      if (match({ protocol: PROTOCOL.udp, ...flow })) this.end(table!, key, flow)
    }
  }

  forget(client: GatewayClient): void {
    this.abort(client)
    this.tables.delete(client.id)
  }

  close(): void {
    for (const table of this.tables.values()) {
      for (const [key, flow] of table.flows) this.end(table, key, flow)
    }
    this.tables.clear()
  }

  counts(): { flows: number; lost: number } {
    const flows = [...this.tables.values()].reduce((sum, table) => sum + table.flows.size, 0)
    return { flows, lost: this.lost }
  }

  private tableOf(client: GatewayClient): Table {
    const known = this.tables.get(client.id)
    if (known) return known
    const table = { flows: new Map(), begins: new Allowance(this.clock, BEGINS_PER_SECOND, UDP_FLOWS_MOST) }
    this.tables.set(client.id, table)
    return table
  }

  private begin(
    client: GatewayClient,
    table: Table,
    key: string,
    ends: Pick<Flow, 'guestPort' | 'peer' | 'port'>,
  ): Flow | null {
    if (!table.begins.take()) return null
    if (table.flows.size >= UDP_FLOWS_MOST) this.endOldest(table)
    const dialled = ends.peer === this.gateway ? LOOPBACK : ends.peer
    const socket = new UdpFlowSocket(dialled, ends.port, {
      message: (payload) => this.answer(client, flow, payload),
      failed: (code, fatal) => {
        this.report(client, flow, code)
        if (fatal && table.flows.get(key) === flow) this.end(table, key, flow)
      },
    })
    const flow: Flow = { ...ends, socket, usedAt: this.clock.now(), answered: false, stopTimer: () => {} }
    table.flows.set(key, flow)
    this.watch(table, key, flow, UNANSWERED_MS)
    return flow
  }

  private answer(client: GatewayClient, flow: Flow, payload: Buffer): void {
    flow.usedAt = this.clock.now()
    flow.answered = true
    if (!client.hasRoom()) {
      this.lost++
      return
    }
    const { peer: source, port: sourcePort, guestPort: destinationPort } = flow
    this.output.udp(client, { source, sourcePort, destination: client.address, destinationPort }, payload)
  }

  /** What the system said of the flow, as the peer would have said it to the guest. */
  private report(client: GatewayClient, { peer, port, guestPort }: Flow, code: string): void {
    const error = ERRORS[code]
    if (!error) return
    const quote = Buffer.alloc(IPV4_BYTES + UDP_BYTES)
    writeIpv4(quote, 0, { source: client.address, destination: peer, protocol: PROTOCOL.udp }, UDP_BYTES)
    quote.writeUInt16BE(guestPort, IPV4_BYTES)
    quote.writeUInt16BE(port, IPV4_BYTES + 2)
    quote.writeUInt16BE(UDP_BYTES, IPV4_BYTES + 4)
    this.output.error(client, error === 'portUnreachable' ? peer : this.gateway, error, quote)
  }

  /** Ends the flow when it has been idle; the timer is set again only when it rings. */
  private watch(table: Table, key: string, flow: Flow, ms: number): void {
    flow.stopTimer = this.clock.later(ms, () => {
      const left = flow.usedAt + (flow.answered ? ANSWERED_MS : UNANSWERED_MS) - this.clock.now()
      if (left > 0) this.watch(table, key, flow, left)
      else this.end(table, key, flow)
    })
  }

  private endOldest(table: Table): void {
    let oldest: [string, Flow] | undefined
    for (const entry of table.flows) if (!oldest || entry[1].usedAt < oldest[1].usedAt) oldest = entry
    if (oldest) this.end(table, ...oldest)
  }

  private end(table: Table, key: string, flow: Flow): void {
    table.flows.delete(key)
    flow.stopTimer()
    flow.socket.close()
  }
}
