import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { NetworkRuleSchema, type NetworkRule, type NetworkRuleInput } from '../../vmm/model/policy'
import { PolicyQuestionSchema, type PolicyQuestion } from '../../vmm/model/policy-question'
import { compilePolicy } from '../../vmm/net/policy-compile'
import { explain, type NearDomain } from '../../vmm/net/policy-explain'
import { NAMES, randomRules } from '../support/policy-random'
import { pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const NEAR: NearDomain[] = [{ name: 'db', group: 'lab', addresses: [parseAddress('10.86.0.7')!] }]

function rulesOf(...rules: NetworkRuleInput[]): NetworkRule[] {
  return rules.map((rule) => v.parse(NetworkRuleSchema, rule))
}

function asked(target: string, more: Partial<PolicyQuestion> = {}): PolicyQuestion {
  return v.parse(PolicyQuestionSchema, { target, port: more.protocol === 'icmp' ? 0 : 443, ...more })
}

const WEB = rulesOf(
  { name: 'Curious', action: 'log', peers: ['any'] },
  { name: 'No tracker', action: 'deny', peers: ['tracker.example.net'] },
  { name: 'Not there', action: 'deny', peers: ['203.0.113.0/24', '10.9.0.0/16'] },
  { name: 'Web', action: 'allow', protocol: 'tcp', ports: ['443'], peers: ['public'] },
  { name: 'The lab', action: 'allow', peers: ['group:lab'] },
)

describe('what would happen', () => {
  test('to an address', () => {
    expect(explain(WEB, asked('93.184.216.34'))).toEqual({
      action: 'allow',
      rule: 'Web',
      index: 3,
      logged: ['Curious'],
      resolves: null,
      unless: [],
      sentence: "TCP to 93.184.216.34 port 443 is allowed by the rule 'Web'. It is logged by 'Curious'.",
    })
    expect(explain(WEB, asked('203.0.113.9')).rule).toBe('Not there')
  })

  test('to a name: it resolves, then its addresses decide', () => {
    expect(explain(WEB, asked('example.org'))).toMatchObject({
      action: 'allow',
      rule: 'Web',
      index: 3,
      logged: ['Curious'],
      resolves: { action: 'allow', rule: 'Web' },
      unless: ['Not there'],
      sentence: [
        "The name example.org resolves, allowed by the rule 'Web'.",
        "TCP to example.org port 443 is allowed by the rule 'Web'.",
        "If it leads to an address that other rules name, these decide: 'Not there'. It is logged by 'Curious'.",
      ].join(' '),
    })
    expect(explain(WEB, asked('example.org', { port: 80 }))).toMatchObject({
      action: 'deny',
      resolves: { action: 'allow' },
    })
  })

  test('to a name that does not resolve', () => {
    expect(explain(WEB, asked('Tracker.Example.NET.'))).toMatchObject({
      action: 'deny',
      rule: 'No tracker',
      resolves: { action: 'deny', rule: 'No tracker' },
      sentence:
        "The name tracker.example.net does not resolve, and so cannot be reached: denied by the rule 'No tracker'. It is logged by 'Curious'.",
    })
  })

  test.each([
    ['what nothing allows', asked('93.184.216.34', { port: 80 }), 'default deny', 'no rule allows it'],
    ['DNS elsewhere', asked('8.8.8.8', { port: 53 }), 'DNS only through the gateway', 'names its port'],
    ['metadata', asked('169.254.169.254'), 'no link-local or reserved addresses', 'leads to no network'],
    ['the host', asked('host'), 'default deny', 'TCP to host port 443'],
    ['the host by its address', asked('10.86.0.1'), 'default deny', 'no rule allows it'],
    ['the host by an address of its own', asked('192.168.1.5'), 'default deny', 'no rule allows it'],
    ['ping', asked('8.8.8.8', { protocol: 'icmp' }), 'default deny', 'ICMP to 8.8.8.8 is denied'],
    [
      'a call from outside',
      asked('8.8.8.8', { direction: 'in' }),
      'default deny',
      'TCP from 8.8.8.8 to port 443 is denied',
    ],
    ['a stranger', asked('domain:web'), 'default deny', 'TCP to domain:web'],
  ])('to %s', (_what, question, rule, words) => {
    const explanation = explain(WEB, question, { near: NEAR, hostAddresses: new Set([parseAddress('192.168.1.5')!]) })

    expect(explanation).toMatchObject({ action: 'deny', rule, index: -1, sentence: expect.stringContaining(words) })
  })

  test('to a name that nothing opens', () => {
    expect(explain([], asked('example.org')).sentence).toBe(
      'The name example.org does not resolve, and so cannot be reached: no rule allows it.',
    )
  })

  test('to a neighbour, by its name or its address, whose own policy has its say', () => {
    expect(explain(WEB, asked('domain:db'), { near: NEAR })).toMatchObject({
      rule: 'The lab',
      sentence: expect.stringContaining("The policy of 'db' has to allow it as well."),
    })
    expect(explain(WEB, asked('10.86.0.7'), { near: NEAR })).toMatchObject({ rule: 'The lab' })
    expect(explain(WEB, asked('10.86.0.8'), { near: NEAR })).toMatchObject({ action: 'deny' })
    expect(explain(rulesOf({ name: 'n', action: 'allow', peers: ['neighbours'] }), asked('10.87.3.9'))).toMatchObject({
      rule: 'n',
    })
  })

  test('with a rule for this run only', () => {
    const once = rulesOf({ name: 'Once', action: 'allow', peers: ['tracker.example.net'] })

    expect(explain(WEB, asked('tracker.example.net'), { once })).toMatchObject({ rule: 'Once', index: WEB.length })
  })

  test('is what the switch does, whatever the rules', () => {
    const { random } = seededRandom()
    const outcomes = { resolved: 0, unresolved: 0 }
    for (let round = 0; round < 3000; round++) {
      const rules = randomRules(random, 6)
      const name = pick(
        random,
        NAMES.filter((each) => each.includes('.')),
      )
      const { action, resolves, rule, unless } = explain(rules, asked(name))
      const policy = compilePolicy(rules)

      expect(resolves).toEqual(policy.mayResolve(name))
      if (resolves?.action === 'deny') {
        expect(action).toBe('deny')
        outcomes.unresolved++
        continue
      }
      outcomes.resolved++
      // at any address, it is that rule or one of those that were told
      for (const address of ['1.0.0.1', '8.8.8.8', '93.184.216.34', '93.184.216.35', '168.1.1.1', '200.1.1.1']) {
        const peer = { address: parseAddress(address)!, place: 'outside', domain: null, names: [name] } as const
        expect([rule, ...unless]).toContain(policy.decide({ direction: 'out', protocol: 6, port: 443, peer }).rule)
      }
    }
    expect(Math.min(outcomes.resolved, outcomes.unresolved)).toBeGreaterThan(300)
  })
})

describe('a question', () => {
  test.each([
    ['port', { target: 'example.org' }],
    ['port', { target: 'example.org', protocol: 'icmp', port: 1 }],
    ['target', { target: 'domain:', port: 1 }],
    ['target', { target: '10.0.0', port: 1 }],
    ['target', { target: 'a b', port: 1 }],
    ['target', { target: 'example.org', port: 1, direction: 'in' }],
    ['direction', { target: 'example.org', port: 1, direction: 'both' }],
  ])('is refused at its %s: %j', (path, question) => {
    const result = v.safeParse(PolicyQuestionSchema, question)

    expect(result.success ? '' : v.getDotPath(result.issues[0])).toBe(path)
  })
})
