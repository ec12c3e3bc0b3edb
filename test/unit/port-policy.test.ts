import * as v from 'valibot'
import { expect, test } from 'vitest'
import { SandboxPolicySchema, type NetworkRuleInput } from '../../vmm/model/policy'
import type { Lane } from '../../vmm/net/lane'
import { flowOf, type PacketPorts } from '../../vmm/net/packet-ports'
import { PortPolicy } from '../../vmm/net/port-policy'

const PEER = 0x0a56_0009
const lane = { limit: () => undefined } as unknown as Lane

/** The policy of a card whose every peer is a neighbour. */
function cardWith(...rules: NetworkRuleInput[]): PortPolicy {
  const policy = new PortPolicy({
    clock: { now: () => 0, later: () => () => undefined, random32: () => 1 },
    peerAt: (address) => ({ address, place: 'neighbour', domain: null }),
    isService: () => false,
    note: () => undefined,
    up: lane,
    down: lane,
  })
  policy.apply(v.parse(SandboxPolicySchema, { network: { rules } }), [])
  return policy
}

const IN: NetworkRuleInput = { name: 'in', action: 'allow', direction: 'in', peers: ['neighbours'] }
const BOTH: NetworkRuleInput = { ...IN, direction: 'both' }

/** A TCP packet of the guest from port 5000 to port 80 of its peer. */
function packet(begins: boolean): PacketPorts {
  return { protocol: 6, source: 5000, destination: 80, begins, ends: false, isError: false }
}

test('a guest that may not begin does not by pretending to answer first', () => {
  const policy = cardWith(IN)

  expect(flowOf(policy, 'out', packet(true), PEER)?.allowed).toBe(false)

  const pretending = cardWith(IN)
  expect(flowOf(pretending, 'out', packet(false), PEER)).toMatchObject({ direction: 'in', allowed: true })
  expect(flowOf(pretending, 'out', packet(true), PEER)).toMatchObject({ direction: 'out', allowed: false })
  expect(flowOf(pretending, 'out', packet(true), PEER)?.allowed).toBe(false)
  expect(pretending.flows.size).toBe(1)
})

test('a connection that is begun again from the same side is the same', () => {
  const policy = cardWith(BOTH)
  const first = flowOf(policy, 'out', packet(true), PEER)

  expect(flowOf(policy, 'out', packet(true), PEER)).toBe(first)
  expect(flowOf(policy, 'out', packet(false), PEER)).toBe(first)
})
