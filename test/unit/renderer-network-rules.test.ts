import { describe, expect, it } from 'vitest'
import type { DenialView, NetworkRule, SandboxPolicy } from '../../src-main/contract'
import {
  draftOf,
  EMPTY_DRAFT,
  freeRuleName,
  keyed,
  limitOf,
  moved,
  newRule,
  placeOf,
  policyOf,
  ruleFaults,
  ruleForWish,
  wishFrom,
  wishOf,
  withLimit,
} from '../../src-renderer/composables/policy-draft'

const rule = (name: string, fields: Partial<NetworkRule> = {}): NetworkRule => ({ ...newRule([], fields), name })
const policy = (...rules: NetworkRule[]): SandboxPolicy => policyOf({ ...EMPTY_DRAFT, network: rules.map(keyed) })
const WEB = rule('Web', { protocol: 'tcp', peers: ['public'], ports: ['80', '443'], downBits: 2e7 })
const DENIAL: DenialView = {
  seq: 1,
  at: 0,
  domainId: 'd',
  nic: 0,
  direction: 'out',
  protocol: 'tcp',
  peer: '192.0.2.1',
  peerName: 'example.org',
  port: 443,
  rule: 'default deny',
  index: -1,
  reason: '',
  count: 1,
}

describe('rules of a draft', () => {
  it('get names that no other has', () => {
    const rules = [rule('Web'), rule('Web 2')].map(keyed)
    expect([freeRuleName('Web', rules), freeRuleName('DNS', rules)]).toEqual(['Web 3', 'DNS'])
    expect(freeRuleName('x'.repeat(200), rules)).toHaveLength(90)
  })

  it('move within their list and not out of it', () => {
    const rules = [rule('a'), rule('b'), rule('c')].map(keyed)
    const names = (list: readonly { rule: NetworkRule }[]) => list.map((one) => one.rule.name).join('')
    expect([names(moved(rules, 0, 1)), names(moved(rules, 2, 0))]).toEqual(['bac', 'cab'])
    expect([moved(rules, 0, -1), moved(rules, 2, 3), moved(rules, 9, 0)]).toEqual([rules, rules, rules])
  })

  it('are told what is wrong with each field', () => {
    const wrong = keyed(rule('Web', { ports: ['443'], peers: ['not a peer'] }))
    expect(ruleFaults('network', wrong, [wrong])).toMatchObject({ peers: expect.stringMatching(/A peer is/) })
    const portless = keyed(rule('Ping', { protocol: 'icmp', ports: ['443'] }))
    expect(ruleFaults('network', portless, [portless])).toEqual({ ports: expect.stringMatching(/Only tcp and udp/) })
    const inwards = keyed(rule('In', { direction: 'in', peers: ['example.org'] }))
    expect(ruleFaults('network', inwards, [inwards]).direction).toMatch(/direction is "out"/)
    const twins = [keyed(WEB), keyed(WEB)] as const
    expect(ruleFaults('network', twins[0], twins)).toEqual({ name: 'Another rule has this name.' })
    expect(ruleFaults('network', twins[0], [twins[0]])).toEqual({})
  })

  it('are found by the paths that main tells', () => {
    expect(placeOf('network.rules.2.peers.0')).toEqual({ section: 'network', rule: 2, field: 'peers' })
    expect(placeOf('network.rules.0')).toEqual({ section: 'network', rule: 0, field: '' })
    expect(placeOf('limits.network.1.upBits')).toEqual({ limit: 1 })
    expect([placeOf('version'), placeOf('')]).toEqual([null, null])
  })

  it('become the policy that they came from', () => {
    const whole: SandboxPolicy = {
      ...policy(WEB, rule('Neighbours', { direction: 'both', peers: ['neighbours'] })),
      limits: { network: [{ nic: 1, upBits: 1e6, downBits: 0, burstBytes: 0, delayMs: 20, lossPercent: 1 }], io: [] },
    }
    expect(policyOf(draftOf(whole))).toEqual(whole)
  })

  it('limit cards, and forget limits that limit nothing', () => {
    const limits = withLimit(withLimit([], { ...limitOf([], 1), upBits: 5 }), { ...limitOf([], 0), delayMs: 3 })
    expect(limits.map(({ nic }) => nic)).toEqual([0, 1])
    const none = withLimit(limits, limitOf([], 0))
    expect(policyOf({ ...EMPTY_DRAFT, limits: none }).limits.network.map(({ nic }) => nic)).toEqual([1])
  })
})

describe('a rule for what was denied', () => {
  const forDenial = (fields: Partial<DenialView>): NetworkRule =>
    ruleForWish(wishOf({ ...DENIAL, ...fields }, ['10.86.0.1']), [])

  it('names whom the guest called, and the port', () => {
    expect(forDenial({})).toMatchObject({
      name: 'Allow example.org',
      action: 'allow',
      direction: 'out',
      protocol: 'tcp',
      peers: ['example.org'],
      ports: ['443'],
    })
    expect(forDenial({ peerName: '' }).peers).toEqual(['192.0.2.1'])
  })

  it('names an address where a name would not be known', () => {
    expect(forDenial({ direction: 'in', peerName: 'web' })).toMatchObject({ direction: 'in', peers: ['192.0.2.1'] })
    expect(forDenial({ peer: '10.86.0.1', peerName: '' }).peers).toEqual(['host'])
    expect(forDenial({ protocol: 'icmp', port: 0 })).toMatchObject({ protocol: 'icmp', ports: [] })
    expect(forDenial({ protocol: '47', port: 0 })).toMatchObject({ protocol: 'any', ports: [] })
  })

  it('opens whoever has a name that was not resolved', () => {
    expect(forDenial({ protocol: 'udp', port: 53 })).toMatchObject({
      protocol: 'any',
      peers: ['example.org'],
      ports: [],
    })
  })

  it('comes through the address of the page, where anything may stand', () => {
    const { peer, direction, protocol, port } = wishOf(DENIAL, [])
    const query = { peer, direction, protocol, port: String(port) }
    expect(wishFrom(query)).toEqual({ peer, direction, protocol, port })
    expect([wishFrom({}), wishFrom({ peer: '<script>' }), wishFrom({ peer: ['any'] })]).toEqual([null, null, null])
    expect(wishFrom({ peer: 'any', direction: 'up', protocol: 'x', port: '-1' })).toEqual({
      peer: 'any',
      direction: 'out',
      protocol: 'any',
      port: 0,
    })
  })
})
