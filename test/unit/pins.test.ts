import { expect, test } from 'vitest'
import * as v from 'valibot'
import { parseAddress } from '../../vmm/model/ipv4'
import { SandboxPolicySchema } from '../../vmm/model/policy'
import { Lane } from '../../vmm/net/lane'
import { Pins } from '../../vmm/net/pins'
import { PortPolicy } from '../../vmm/net/port-policy'
import { SimulatedClock } from '../support/simulated-clock'

/** How much longer than its TTL a pin holds, milliseconds: programs keep names. */
const GRACE_MS = 60_000
const ADDRESS = parseAddress('93.184.216.34')!

function trial() {
  const clock = new SimulatedClock()
  return { clock, pins: new Pins(() => clock.now()) }
}

test('a name leads to its address for as long as was said and a little more, and longer when it is said again', () => {
  const { clock, pins } = trial()
  pins.add('example.org', ADDRESS, 60)
  pins.add('www.example.org', ADDRESS, 10)
  expect(pins.namesOf(ADDRESS)).toEqual(['example.org', 'www.example.org'])
  expect(pins.namesOf(ADDRESS + 1)).toEqual([])

  clock.advance(9999 + GRACE_MS)
  expect(pins.namesOf(ADDRESS).length).toBe(2)
  clock.advance(1)
  expect(pins.namesOf(ADDRESS)).toEqual(['example.org'])
  pins.add('example.org', ADDRESS, 60)
  clock.advance(59_999 + GRACE_MS)
  expect(pins.namesOf(ADDRESS)).toEqual(['example.org'])
  clock.advance(1)
  expect(pins.namesOf(ADDRESS)).toEqual([])
})

test('a guest that asks for many names holds a bounded number; the oldest give way', () => {
  const { pins } = trial()
  for (let number = 0; number < 100; number++) pins.add(`n${number}.example.org`, ADDRESS, 60)
  expect(pins.namesOf(ADDRESS)).toEqual(Array.from({ length: 16 }, (_, number) => `n${number + 84}.example.org`))

  for (let number = 1; number <= 4096; number++) pins.add('example.org', ADDRESS + number, 60)
  expect(pins.namesOf(ADDRESS)).toEqual([])
  expect(pins.namesOf(ADDRESS + 1)).toEqual(['example.org'])
})

test('a rule by name holds for pinned addresses alone, and no longer than their pins for what begins', () => {
  const clock = new SimulatedClock()
  const lane = () => new Lane({ clock, onRoom: () => undefined, deliver: () => undefined })
  const policy = new PortPolicy({
    clock,
    peerAt: (address) => ({ address, place: 'outside', domain: null }),
    isService: () => false,
    note: () => undefined,
    up: lane(),
    down: lane(),
  })
  const rules = [{ name: 'Web', action: 'allow', peers: ['*.example.org'] } as const].map((rule) => ({ ...rule }))
  policy.apply(v.parse(SandboxPolicySchema, { network: { rules } }), [])
  const begin = (port: number, address = ADDRESS) => policy.begin('out', true, 6, address, port, 443)
  expect(begin(1).allowed).toBe(false)

  policy.pins.add('www.example.org', ADDRESS, 60)
  policy.pins.add('example.org', ADDRESS + 1, 60)
  const open = begin(2)
  expect([open.allowed, open.rule, begin(3, ADDRESS + 1).allowed]).toEqual([true, 'Web', false])

  clock.advance(60_000 + GRACE_MS)
  expect(begin(4).allowed).toBe(false)
  expect(policy.decideAnew()).toEqual([])
  expect(open.allowed).toBe(true)
})
