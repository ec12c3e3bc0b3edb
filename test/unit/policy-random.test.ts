import { describe, expect, test } from 'vitest'
import { isPublic } from '../../vmm/model/ipv4'
import type { NetworkRule } from '../../vmm/model/policy'
import { compilePolicy, type CompiledPolicy } from '../../vmm/net/policy-compile'
import type { FlowFacts, PeerFacts, Verdict } from '../../vmm/net/policy-verdict'
import { ADDRESSES, NAMES, randomFlow, randomPeer, randomRules } from '../support/policy-random'
import { referenceDecide, referenceLead, referenceResolve, type ReferenceVerdict } from '../support/policy-reference'
import { below, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

/** How many flows are compared; `VIVARIUM_POLICY_FLOWS=50000000` compares more. */
const FLOWS = Number(process.env['VIVARIUM_POLICY_FLOWS'] ?? 2_500_000)
const FLOWS_A_POLICY = 50
const PATIENCE = { timeout: 60_000 + FLOWS / 10 }

/** Policies one after another until `rounds` are through; the seed is printed. */
function policies(rounds: number, look: (random: Random, rules: Policy, compiled: CompiledPolicy) => void): void {
  const { random } = seededRandom()
  for (let round = 0; round < rounds; round++) {
    const rules = { own: randomRules(random, 8), once: below(random, 4) === 0 ? randomRules(random, 2) : [] }
    look(random, rules, compilePolicy(rules.own, rules.once))
  }
}

interface Policy {
  own: NetworkRule[]
  once: NetworkRule[]
}

/** Compares without building a message: millions of times. */
function differs(verdict: Verdict, wanted: ReferenceVerdict, compiled: CompiledPolicy): boolean {
  const named = verdict.index === -1 || compiled.rules[verdict.index]?.name === verdict.rule
  if (!named || verdict.action !== wanted.action || verdict.rule !== wanted.rule) return true
  return verdict.logged.length !== wanted.logged.length || verdict.logged.some((name, at) => name !== wanted.logged[at])
}

describe('the compiled policy says what the reference says', () => {
  test(`about ${FLOWS} flows`, PATIENCE, () => {
    const seen = { allow: 0, deny: 0, own: 0, logged: 0, guarded: 0 }
    policies(FLOWS / FLOWS_A_POLICY, (random, rules, compiled) => {
      for (let flows = 0; flows < FLOWS_A_POLICY; flows++) {
        const flow = randomFlow(random)
        const verdict = compiled.decide(flow)
        const wanted = referenceDecide(rules.own, rules.once, flow)
        if (differs(verdict, wanted, compiled))
          expect({ rules, flow, verdict }).toEqual({ rules, flow, verdict: wanted })
        seen[verdict.action]++
        if (verdict.index === -1) seen.own++
        if (verdict.index === -1 && verdict.rule !== 'default deny') seen.guarded++
        if (verdict.logged.length > 0) seen.logged++
      }
    })

    console.log(`compared ${FLOWS} flows: ${JSON.stringify(seen)}`)
    // nothing of this is a corner that the generator hardly ever reaches
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(FLOWS / 50)
  })

  test('about names and where they may lead', PATIENCE, () => {
    policies(30_000, (random, rules, compiled) => {
      const [name, address] = [pick(random, NAMES), pick(random, ADDRESSES)]
      const verdict = compiled.mayResolve(name)
      const wanted = referenceResolve(rules.own, rules.once, name)
      if (differs(verdict, wanted, compiled)) expect({ rules, name, verdict }).toEqual({ rules, name, verdict: wanted })
      const leads = compiled.mayLeadTo(name, address)
      if (leads !== referenceLead(rules.own, rules.once, address)) expect({ rules, address, leads }).toBeNull()
    })
  })
})

const PORTS = [0, 1, 52, 53, 80, 443, 853, 8500, 65_535]

/** Every flow between the guest and `peer` that rules of the generator could tell apart. */
function flowsWith(peer: PeerFacts): FlowFacts[] {
  return (['out', 'in'] as const).flatMap((direction) =>
    [1, 6, 17, 47].flatMap((protocol) =>
      (protocol === 6 || protocol === 17 ? PORTS : [0]).map((port) => ({ direction, protocol, port, peer })),
    ),
  )
}

function deniesInPart({ own, once }: Policy): boolean {
  return [...own, ...once].some(
    ({ action, protocol, peers }) =>
      action === 'deny' && (protocol !== 'any' || peers.some((text) => /^\d/.test(text))),
  )
}

describe('whatever the rules', () => {
  test('whoever may exchange anything gets an address resolved', PATIENCE, () => {
    const seen = { talk: 0, silent: 0 }
    policies(20_000, (random, rules, compiled) => {
      const peer = randomPeer(random)
      const allowed = flowsWith(peer).find((flow) => compiled.decide(flow).action === 'allow')
      const talk = compiled.mayTalk(peer)
      if (allowed && !talk) expect({ rules, allowed, talk }).toMatchObject({ talk: true })
      seen[talk ? 'talk' : 'silent']++
    })

    expect(Math.min(seen.talk, seen.silent)).toBeGreaterThan(2000)
  })

  test('whoever may exchange nothing by denials of everything does not', PATIENCE, () => {
    policies(20_000, (random, rules, compiled) => {
      const peer = randomPeer(random)
      const whole = rules.own.concat(rules.once).every((rule) => rule.protocol === 'any')
      const allowed = flowsWith(peer).some((flow) => compiled.decide(flow).action === 'allow')
      if (whole && compiled.mayTalk(peer) && !allowed) expect({ rules, peer }).toBeNull()
    })
  })

  test('a name that opens a public address resolves', PATIENCE, () => {
    let opened = 0
    const publics = ADDRESSES.filter(isPublic)
    policies(20_000, (random, rules, compiled) => {
      const name = pick(random, NAMES)
      const peer = { address: pick(random, publics), place: 'outside', domain: null, names: [name] } as const
      const nameless = { ...peer, names: [] }
      const useful = flowsWith(peer).find(
        (flow) =>
          flow.direction === 'out' &&
          compiled.decide(flow).action === 'allow' &&
          compiled.decide({ ...flow, peer: nameless }).action === 'deny',
      )
      if (!useful) return
      opened++
      if (compiled.mayResolve(name).action === 'deny') expect({ rules, useful }).toBeNull()
    })

    expect(opened).toBeGreaterThan(500)
  })

  test('a name that resolves is of use somewhere public, unless single ports or blocks are denied', PATIENCE, () => {
    let resolved = 0
    policies(20_000, (random, rules, compiled) => {
      const name = pick(random, NAMES)
      if (compiled.mayResolve(name).action === 'deny' || deniesInPart(rules)) return
      resolved++
      const peer = { address: 0x0100_0000, place: 'outside', domain: null, names: [name] } as const
      const useful = flowsWith(peer).some((flow) => compiled.decide(flow).action === 'allow')
      if (!useful) expect({ rules, name }).toBeNull()
    })

    expect(resolved).toBeGreaterThan(500)
  })

  test('a rule for this run only comes first and leaves the places of the others', () => {
    policies(2000, (random, rules, compiled) => {
      const flow = randomFlow(random)
      const { index } = compilePolicy([...rules.once, ...rules.own]).decide(flow)
      const once = rules.once.length
      const wanted = index === -1 ? -1 : index < once ? rules.own.length + index : index - once

      expect(compiled.decide(flow).index).toBe(wanted)
    })
  })
})
