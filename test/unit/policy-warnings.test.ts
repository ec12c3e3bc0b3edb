import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import {
  EMPTY_POLICY,
  NicLimitSchema,
  SandboxPolicySchema,
  type NetworkRuleInput,
  type SandboxPolicy,
} from '../../vmm/model/policy'
import { missingPeers, renamePeer } from '../../vmm/model/policy-domains'
import { policyWarnings } from '../../vmm/model/policy-warnings'
import { POLICY_TEMPLATES, templateOf, withTemplate } from '../../vmm/model/policy-templates'
import { compilePolicy } from '../../vmm/net/policy-compile'
import { NAMES, randomFlow, randomRules } from '../support/policy-random'
import { seededRandom } from '../support/seeded-random'

const AROUND = { domains: ['web', 'db'], groups: ['lab'] }
const NOBODY = { domains: [], groups: [] }

function policyOf(...rules: Omit<NetworkRuleInput, 'name'>[]): SandboxPolicy {
  return v.parse(SandboxPolicySchema, {
    network: { rules: rules.map((rule, index) => ({ name: `r${index}`, ...rule })) },
  })
}

/** Paths of the warnings about rules given as in the document. */
function warned(...rules: Omit<NetworkRuleInput, 'name'>[]): string[] {
  return policyWarnings(policyOf(...rules), AROUND).map(({ path }) => path)
}

const allow = (...peers: string[]) => ({ action: 'allow', peers }) as const
const deny = (...peers: string[]) => ({ action: 'deny', peers }) as const

describe('a rule without effect', () => {
  test.each([
    ['denied after it was allowed', [allow('any'), deny('tracker.example.net')]],
    ['allowed after all was denied', [deny('any'), allow('example.org')]],
    ['a name below one', [allow('*.example.org'), allow('www.example.org')]],
    ['names below one', [allow('*.example.org'), allow('*.www.example.org')]],
    ['a block in another', [allow('10.0.0.0/8'), allow('10.1.0.0/16', '10.2.3.4')]],
    ['a domain among neighbours', [deny('neighbours'), allow('domain:web')]],
    ['ports in a range', [
      { ...allow('public'), protocol: 'tcp', ports: ['1-1024'] },
      { ...allow('public'), protocol: 'tcp', ports: ['80', '443'] },
    ]],
    ['a direction of both', [{ ...allow('neighbours'), direction: 'both' }, { ...allow('neighbours'), direction: 'in' }]],
    ['said twice', [allow('*'), allow('*')]],
  ] as [string, Omit<NetworkRuleInput, 'name'>[]][])('%s is told', (_what, rules) => {
    expect(warned(...rules)).toEqual(['network.rules.1'])
  }) // prettier-ignore

  test.each([
    ['names below one are not that one', [allow('example.org'), allow('*.example.org')]],
    ['that one is not below itself', [allow('*.example.org'), allow('example.org')]],
    ['a smaller block', [allow('10.1.0.0/16'), allow('10.0.0.0/8')]],
    ['any does not hold the host', [allow('any'), allow('host')]],
    ['any opens no private address to names', [allow('any'), allow('private')]],
    ['any opens no link-local address', [allow('any'), allow('169.254.169.254')]],
    ['any opens no DNS', [allow('any'), { ...allow('8.8.8.8'), protocol: 'udp', ports: ['53'] }]],
    ['a denial holds DNS back from a later rule', [
      allow('any'), deny('8.8.8.8'), { ...allow('any'), protocol: 'udp', ports: ['53'] },
    ]],
    ['a name resolves though a port is denied', [{ ...deny('any'), protocol: 'tcp', ports: ['80'] }, {
      ...allow('example.org'), protocol: 'tcp', ports: ['80'],
    }]],
    ['log decides nothing', [{ action: 'log', peers: ['any'] }, allow('public')]],
    ['another protocol', [{ ...allow('public'), protocol: 'tcp' }, { ...allow('public'), protocol: 'udp' }]],
    ['all ports', [{ ...allow('public'), protocol: 'tcp', ports: ['80'] }, { ...allow('public'), protocol: 'tcp' }]],
    ['the other direction', [allow('neighbours'), { ...allow('neighbours'), direction: 'in' }]],
  ] as [string, Omit<NetworkRuleInput, 'name'>[]][])('%s: not told', (_what, rules) => {
    expect(warned(...rules)).toEqual([])
  }) // prettier-ignore

  test('really has none, whatever the rules', () => {
    const { random } = seededRandom()
    let told = 0
    for (let round = 0; round < 20_000; round++) {
      const rules = randomRules(random, 8)
      const policy = { ...EMPTY_POLICY, network: { rules } }
      const remarks = policyWarnings(policy, { ...AROUND, groups: ['lab', 'web'] })
      const paths = remarks.map(({ path }) => path).filter((path) => !path.endsWith('direction'))
      for (const path of paths) {
        told++
        const index = Number(path.split('.')[2])
        const whole = compilePolicy(rules)
        const less = compilePolicy(rules.filter((_rule, at) => at !== index))
        for (let flows = 0; flows < 30; flows++) {
          const flow = randomFlow(random)
          const [before, after] = [whole.decide(flow), less.decide(flow)]
          if (before.action !== after.action)
            expect({ rules, path, flow, before }).toEqual({ rules, path, flow, before: after })
          if (rules[index]?.action === 'log') expect(before.logged).not.toContain(rules[index].name)
        }
        const resolved = NAMES.map((name) => whole.mayResolve(name).action)
        const still = NAMES.map((name) => less.mayResolve(name).action)
        expect({ rules, path, resolved }).toEqual({ rules, path, resolved: still })
      }
    }

    expect(told).toBeGreaterThan(2000)
  })
})

describe('other domains', () => {
  const policy = policyOf(allow('domain:web', 'public', 'group:lab'), deny('domain:gone', 'group:gone'))

  test('those that do not exist are named by their place', () => {
    expect(missingPeers(policy, AROUND)).toEqual([
      { path: 'network.rules.1.peers.0', message: "There is no domain called 'gone'." },
      { path: 'network.rules.1.peers.1', message: "There is no group called 'gone'." },
    ])
    expect(missingPeers(policy, NOBODY).map(({ path }) => path)).toEqual([
      'network.rules.0.peers.0',
      'network.rules.0.peers.2',
      'network.rules.1.peers.0',
      'network.rules.1.peers.1',
    ])
    expect(policyWarnings(policy, AROUND)).toEqual(missingPeers(policy, AROUND))
  })

  test('a new name is taken over, and only where it is the name of the same', () => {
    const renamed = renamePeer(policy, 'domain', 'gone', 'lab')

    expect(renamed.network.rules.map(({ peers }) => peers)).toEqual([
      ['domain:web', 'public', 'group:lab'],
      ['domain:lab', 'group:gone'],
    ])
    expect(policy.network.rules[1]?.peers).toEqual(['domain:gone', 'group:gone'])
    expect(renamePeer(policy, 'group', 'web', 'x')).toBe(policy)
  })
})

describe('callers', () => {
  test('from outside come by port forwards only', () => {
    expect(warned({ ...allow('public', 'host'), direction: 'in' })).toEqual(['network.rules.0.direction'])
  })

  test('from the neighbourhood do not need them', () => {
    expect(warned({ ...allow('any'), direction: 'in' }, { ...allow('public'), direction: 'both' })).toEqual([])
  })
})

describe('templates', () => {
  test.each(POLICY_TEMPLATES)('$name is recognized, also beside limits', ({ id }) => {
    const limited = { ...EMPTY_POLICY, limits: { network: [v.parse(NicLimitSchema, { nic: 0, upBits: 1e6 })], io: [] } }

    const policy = withTemplate(limited, id)

    expect(templateOf(policy)).toBe(id)
    expect(policy.limits).toEqual(limited.limits)
    expect(policyWarnings(policy, NOBODY)).toEqual([])
    expect(v.parse(SandboxPolicySchema, policy)).toEqual(policy)
  })

  test('anything else is none', () => {
    const [first] = withTemplate(EMPTY_POLICY, 'web').network.rules

    expect(templateOf(policyOf(allow('any')))).toBe('')
    expect(templateOf({ ...EMPTY_POLICY, network: { rules: [first!] } })).toBe('')
  })

  test('hand out copies', () => {
    withTemplate(EMPTY_POLICY, 'open').network.rules[0]!.peers.push('host')

    expect(withTemplate(EMPTY_POLICY, 'open').network.rules[0]!.peers).toEqual(['any'])
  })
})
