import type { Flow } from './flow-table'
import type { Gateway } from './gateway'
import { PROTOCOL } from './packet'
import { flowOf, type PacketPorts } from './packet-ports'
import type { Port } from './port'
import { FORWARD_RULE } from './port-policy'

/** Flows that port forwards begin need no rule: that holds as long as somebody is at the other end, and no longer. */

/** The flow of a packet that the guest behind `port` sends to `peer`; null for what has none. */
export function flowOut(gateway: Gateway, port: Port, ports: PacketPorts, peer: number): Flow | null {
  const flow = flowOf(port.policy, 'out', ports, peer)
  const { protocol, source, destination } = ports
  if (flow?.rule !== FORWARD_RULE || protocol !== PROTOCOL.udp) return flow
  if (gateway.hasCaller(port, source, destination)) return flow
  // whom it would answer is gone: what leads to the host now asks for a rule, as anything else
  port.policy.flows.remove(flow)
  return flowOf(port.policy, 'out', ports, peer)
}

/** Whether a packet of the gateway that belongs to no flow is of somebody who has come through a forward. */
export function beginsForward(
  gateway: Gateway,
  port: Port,
  { protocol, source, destination, begins, isError }: PacketPorts,
): boolean {
  if (isError) return false
  if (protocol === PROTOCOL.tcp) return begins
  return protocol === PROTOCOL.udp && gateway.hasCaller(port, destination, source)
}
