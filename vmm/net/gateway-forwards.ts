import type { Socket } from 'node:net'
import { VmmError } from '../model/errors'
import type { Forward } from '../model/network'
import type { Clock } from './clock'
import type { GatewayClient } from './gateway-client'
import type { OpenForward } from './gateway-forward'
import { openTcpForward } from './gateway-forward-tcp'
import { openUdpForward, type OpenUdpForward } from './gateway-forward-udp'
import type { GatewayOutput } from './gateway-output'
import type { FlowMatch } from './gateway-udp'
import { PROTOCOL } from './packet'

export interface ForwardsOptions {
  clock: Clock
  output: GatewayOutput
  /** The gateway's own address: whoever comes through a forward is seen there. */
  address: number
  /** Takes a TCP connection of the host for a port of the guest. */
  accept(client: GatewayClient, socket: Socket, guestPort: number): void
}

/** The open port forwards of all guests. */
export class Forwards {
  private readonly guests = new Map<string, Set<OpenForward>>()

  constructor(private readonly options: ForwardsOptions) {}

  /** Fails with a `VmmError`: `conflict`, `denied` or `invalid`. */
  async add(client: GatewayClient, forward: Forward): Promise<OpenForward> {
    const held = this.guests.get(client.id) ?? new Set<OpenForward>()
    this.guests.set(client.id, held)
    const opened = await (forward.protocol === 'tcp' ? this.openTcp(client, forward) : this.openUdp(client, forward))
    if (this.guests.get(client.id) !== held) {
      await opened.close()
      throw new VmmError('cancelled', 'The network card went while its port was being opened.')
    }
    held.add(opened)
    return { forward, close: () => (held.delete(opened) ? opened.close() : Promise.resolve()) }
  }

  /** Hands a datagram of a guest to whom it answers through a forward; false when it answers nobody. */
  answer(client: GatewayClient, guestPort: number, gatewayPort: number, payload: Uint8Array): boolean {
    for (const opened of this.udpOf(client)) {
      if (opened.forward.guestPort === guestPort && opened.answer(gatewayPort, payload)) return true
    }
    return false
  }

  /** Whether a port of the gateway stands for somebody who has called a port of the guest over UDP. */
  hasCaller(client: GatewayClient, guestPort: number, gatewayPort: number): boolean {
    for (const opened of this.udpOf(client)) {
      if (opened.forward.guestPort === guestPort && opened.hasCaller(gatewayPort)) return true
    }
    return false
  }

  /** Forgets callers over UDP that `match` tells; the ports stay open. */
  abort(client: GatewayClient, match: FlowMatch = () => true): void {
    for (const opened of this.udpOf(client)) {
      const { guestPort } = opened.forward
      opened.abort((port) => match({ protocol: PROTOCOL.udp, peer: this.options.address, port, guestPort }))
    }
  }

  /** Closes the ports of a guest. */
  forget(client: GatewayClient): void {
    for (const opened of this.guests.get(client.id) ?? []) void opened.close()
    this.guests.delete(client.id)
  }

  close(): void {
    for (const held of this.guests.values()) for (const opened of held) void opened.close()
    this.guests.clear()
  }

  private *udpOf(client: GatewayClient): Generator<OpenUdpForward> {
    for (const opened of this.guests.get(client.id) ?? []) if (isUdp(opened)) yield opened
  }

  private openTcp(client: GatewayClient, forward: Forward): Promise<OpenForward> {
    return openTcpForward(forward, (socket) => this.options.accept(client, socket, forward.guestPort))
  }

  private openUdp(client: GatewayClient, forward: Forward): Promise<OpenForward> {
    const { output, address, clock } = this.options
    return openUdpForward(clock, forward, (sourcePort, payload) => {
      if (!client.hasRoom()) return
      const ends = { source: address, sourcePort, destination: client.address, destinationPort: forward.guestPort }
      output.udp(client, ends, payload)
    })
  }
}

function isUdp(opened: OpenForward): opened is OpenUdpForward {
  return opened.forward.protocol === 'udp'
}
