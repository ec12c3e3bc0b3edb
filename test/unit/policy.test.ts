import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { parseOrRefuse } from '../../vmm/model/domain'
import { parseAddress } from '../../vmm/model/ipv4'
import { EMPTY_POLICY, NetworkRuleSchema, SandboxPolicySchema, type NetworkRuleInput } from '../../vmm/model/policy'
import { parsePeer } from '../../vmm/model/policy-peer'
import { withTemplate } from '../../vmm/model/policy-templates'
import { compilePolicy } from '../../vmm/net/policy-compile'
import type { FlowFacts, PeerFacts } from '../../vmm/net/policy-verdict'

const TCP = 6
const UDP = 17
const ICMP = 1

/** Rules of which each is named by its place: 'r0', 'r1' … */
function policy(...rules: Omit<NetworkRuleInput, 'name'>[]) {
  return compilePolicy(rules.map((rule, index) => v.parse(NetworkRuleSchema, { name: `r${index}`, ...rule })))
}

function outside(address: string, ...names: string[]): PeerFacts {
  return { address: parseAddress(address)!, place: 'outside', domain: null, names }
}

function neighbour(name: string, group = ''): PeerFacts {
  return { address: parseAddress('10.86.0.9')!, place: 'neighbour', domain: { name, group }, names: [] }
}

const HOST: PeerFacts = { address: parseAddress('10.86.0.1')!, place: 'host', domain: null, names: [] }

function out(peer: PeerFacts, protocol: number, port = 0): FlowFacts {
  return { direction: 'out', protocol, port, peer }
}

const allow = (...peers: string[]) => ({ action: 'allow', peers }) as const
const deny = (...peers: string[]) => ({ action: 'deny', peers }) as const

describe('a policy', () => {
  test('denies what nothing allows, by a rule of its own', () => {
    expect(policy().decide(out(outside('8.8.8.8'), TCP, 443))).toEqual({
      action: 'deny',
      rule: 'default deny',
      index: -1,
      logged: [],
    })
  })

  test('is decided by the first rule that matches, and tells which took notes before', () => {
    const { decide } = policy(
      { action: 'log', peers: ['public'] },
      { ...deny('8.8.8.0/24'), protocol: 'tcp' },
      { action: 'log', peers: ['any'] },
      allow('public'),
      { action: 'log', peers: ['public'] },
    )

    expect(decide(out(outside('8.8.8.8'), TCP, 443))).toMatchObject({
      action: 'deny',
      rule: 'r1',
      index: 1,
      logged: ['r0'],
    })
    expect(decide(out(outside('8.8.8.8'), ICMP))).toMatchObject({ action: 'allow', rule: 'r3', logged: ['r0', 'r2'] })
  })

  test('knows names as the guest was given them, and only outside', () => {
    const { decide } = policy(allow('*.example.org', 'example.net'))
    const peer = outside('93.184.216.34', 'www.example.org')

    expect(decide(out(peer, TCP, 443)).action).toBe('allow')
    expect(decide(out(outside('93.184.216.34'), TCP, 443)).action).toBe('deny')
    expect(decide(out(outside('93.184.216.34', 'example.org'), TCP, 443)).action).toBe('deny')
    expect(decide(out(outside('93.184.216.34', 'www.example.net'), TCP, 443)).action).toBe('deny')
    expect(decide(out(outside('93.184.216.34', 'x.org', 'example.net'), TCP, 443)).action).toBe('allow')
    expect(decide(out({ ...peer, place: 'neighbour' }, TCP, 443)).action).toBe('deny')
    expect(decide(out({ ...peer, place: 'host' }, TCP, 443)).action).toBe('deny')
  })

  test('never takes the host for anybody else', () => {
    const everybody = policy({
      ...allow('any', 'public', 'private', 'neighbours', '0.0.0.0/0', '10.86.0.1'),
      direction: 'both',
    })

    expect(everybody.decide(out(HOST, TCP, 80)).action).toBe('deny')
    expect(everybody.mayTalk(HOST)).toBe(false)
    expect(policy(allow('host')).decide(out(HOST, TCP, 80)).action).toBe('allow')
  })

  test('knows neighbours by domain, and those without a group by no group', () => {
    const { decide } = policy(allow('domain:web', 'group:lab'))

    expect(decide(out(neighbour('web'), TCP, 80)).action).toBe('allow')
    expect(decide(out(neighbour('db', 'lab'), TCP, 80)).action).toBe('allow')
    expect(decide(out(neighbour('db'), TCP, 80)).action).toBe('deny')
    expect(decide(out({ ...neighbour('web'), domain: null }, TCP, 80)).action).toBe('deny')
  })

  test('gives limits by the place of the rule, also with rules for this run only', () => {
    const [slow, once] = [
      v.parse(NetworkRuleSchema, { name: 'slow', ...allow('public'), upBits: 1e6, burstBytes: 5000 }),
      v.parse(NetworkRuleSchema, { name: 'once', ...allow('8.8.8.8') }),
    ]
    const compiled = compilePolicy([slow], [once])

    expect(compiled.rules[compiled.decide(out(outside('9.9.9.9'), TCP, 1)).index]).toEqual({
      name: 'slow',
      once: false,
      upBits: 1e6,
      downBits: 0,
      burstBytes: 5000,
    })
    expect(compiled.rules[compiled.decide(out(outside('8.8.8.8'), TCP, 1)).index]).toMatchObject({
      name: 'once',
      once: true,
    })
  })

  test('that was not checked and means nothing is refused, not taken for less', () => {
    const rule = { ...v.parse(NetworkRuleSchema, { name: 'odd', ...deny('any') }), peers: ['nobody'] }

    expect(() => compilePolicy([rule])).toThrow(expect.objectContaining({ kind: 'invalid' }))
  })
})

describe('DNS to anybody but the gateway', () => {
  const open = withTemplate(EMPTY_POLICY, 'open').network.rules

  test.each([
    [TCP, 53],
    [UDP, 53],
    [TCP, 853],
    [UDP, 853],
  ])('is denied by protocol %d, port %d, under a name of its own', (protocol, port) => {
    const verdict = compilePolicy(open).decide(out(outside('8.8.8.8'), protocol, port))

    expect(verdict).toMatchObject({ action: 'deny', rule: 'DNS only through the gateway', index: -1 })
  })

  test('is allowed by a rule that names the port, not by a range, and not the other port', () => {
    const ranged = policy({ ...allow('8.8.8.8'), protocol: 'udp', ports: ['1-65535'] })
    const named = policy(allow('any'), { ...allow('8.8.8.8'), protocol: 'udp', ports: ['53'] })

    expect(ranged.decide(out(outside('8.8.8.8'), UDP, 53)).action).toBe('deny')
    expect(named.decide(out(outside('8.8.8.8'), UDP, 53))).toMatchObject({ action: 'allow', rule: 'r1' })
    expect(named.decide(out(outside('8.8.8.8'), UDP, 853)).action).toBe('deny')
    expect(named.decide(out(outside('8.8.4.4'), UDP, 53)).action).toBe('deny')
  })

  test('is no matter between neighbours, and not of calls to the guest', () => {
    const both = policy({ ...allow('any'), direction: 'both' })

    expect(both.decide(out(neighbour('dns'), UDP, 53)).action).toBe('allow')
    expect(both.decide({ ...out(outside('8.8.8.8'), UDP, 53), direction: 'in' }).action).toBe('allow')
  })
})

describe('addresses that lead to no network', () => {
  const METADATA = outside('169.254.169.254', 'metadata.example.org')

  test('are denied to whom everybody is allowed, also by name', () => {
    const verdict = policy(allow('any', '*', '0.0.0.0/0')).decide(out(METADATA, TCP, 80))

    expect(verdict).toMatchObject({ action: 'deny', rule: 'no link-local or reserved addresses' })
  })

  test('open only where they are link-local and a block means them', () => {
    expect(policy(allow('169.254.169.254')).decide(out(METADATA, TCP, 80)).action).toBe('allow')
    expect(policy(allow('169.254.0.0/16')).decide(out(METADATA, TCP, 80)).action).toBe('allow')
    expect(policy(allow('169.254.0.0/15')).decide(out(METADATA, TCP, 80)).action).toBe('deny')
  })

  test.each(['127.0.0.1', '0.0.0.0', '224.0.0.251', '255.255.255.255'])('%s never does', (address) => {
    // the schema takes no such rule
    const rule = { ...v.parse(NetworkRuleSchema, { name: 'loop', ...allow('any') }), peers: [address, '0.0.0.0/0'] }

    expect(compilePolicy([rule]).decide(out(outside(address), TCP, 80)).action).toBe('deny')
    expect(compilePolicy([rule]).mayLeadTo('example.org', parseAddress(address)!)).toBe(false)
  })
})

describe('names', () => {
  test.each([
    ['by name', [allow('example.org')], true],
    ['below a name', [allow('*.org')], true],
    ['of which only a port is allowed', [{ ...allow('example.org'), protocol: 'tcp', ports: ['443'] }], true],
    ['as everybody is allowed', [allow('any')], true],
    ['as the internet is allowed', [allow('public')], true],
    ['though a port of everybody is denied', [{ ...deny('any'), protocol: 'tcp' }, allow('*')], true],
    ['though one of it is denied', [{ ...deny('example.org'), protocol: 'tcp', ports: ['80'] }, allow('*')], true],
    ['not as only blocks are allowed', [allow('0.0.0.0/0', 'private', 'neighbours', 'host')], false],
    ['not as another is allowed', [allow('www.example.org', '*.example.org')], false],
    ['not as it is denied before', [deny('example.org'), allow('any')], false],
    ['not as everybody is denied before', [deny('any'), allow('example.org')], false],
    ['not as nothing is allowed', [], false],
  ] as [string, Omit<NetworkRuleInput, 'name'>[], boolean][])('resolve %s', (_how, rules, resolves) => {
    expect(policy(...rules).mayResolve('example.org').action).toBe(resolves ? 'allow' : 'deny')
  })

  test('of whoever calls the guest do not resolve', () => {
    expect(policy({ ...allow('any'), direction: 'in' }).mayResolve('example.org').action).toBe('deny')
  })

  test('lead to private addresses only where rules name those', () => {
    const leads = (address: string, ...peers: string[]): boolean =>
      policy(allow('*', 'any', 'public', ...peers), deny('192.168.0.0/16')).mayLeadTo(
        'example.org',
        parseAddress(address)!,
      )

    expect(leads('93.184.216.34')).toBe(true)
    expect(leads('192.168.1.1')).toBe(false)
    expect(leads('192.168.1.1', 'private')).toBe(true)
    expect(leads('192.168.1.1', '192.168.1.0/24')).toBe(true)
    expect(leads('192.168.2.1', '192.168.1.0/24')).toBe(false)
    expect(leads('169.254.169.254', 'private')).toBe(false)
    expect(leads('169.254.169.254', '169.254.169.254')).toBe(true)
  })
})

describe('two that may not talk', () => {
  test('in one direction may in the other', () => {
    expect(policy({ ...allow('neighbours'), direction: 'in' }).mayTalk(neighbour('web'))).toBe(true)
    expect(policy(allow('public')).mayTalk(neighbour('web'))).toBe(false)
  })

  test('are those that are denied first', () => {
    const compiled = policy(deny('domain:web'), { ...deny('domain:db'), protocol: 'tcp' }, allow('neighbours'))

    expect(compiled.mayTalk(neighbour('web'))).toBe(false)
    expect(compiled.mayTalk(neighbour('db'))).toBe(true)
  })
})

describe('a document', () => {
  const rule = { name: 'r', action: 'allow', peers: ['any'] }

  test.each([
    ['network.rules.0.prots', { network: { rules: [{ ...rule, prots: ['80'] }] } }],
    ['network.rules.0.name', { network: { rules: [{ action: 'allow', peers: ['any'] }] } }],
    ['network.rules.0.name', { network: { rules: [{ ...rule, name: 'default deny' }] } }],
    ['network.rules.0.name', { network: { rules: [{ ...rule, name: 'DNS only through the gateway' }] } }],
    ['network.rules.0.action', { network: { rules: [{ ...rule, action: 'drop' }] } }],
    ['network.rules.0.action', { network: { rules: [{ ...rule, action: 'deny', upBits: 1 }] } }],
    ['network.rules.0.peers', { network: { rules: [{ ...rule, peers: [] }] } }],
    ['network.rules.0.peers.1', { network: { rules: [{ ...rule, peers: ['any', 'nobody'] }] } }],
    ['network.rules.0.peers', { network: { rules: [{ ...rule, peers: ['127.0.0.0/8'] }] } }],
    ['network.rules.0.peers', { network: { rules: [{ ...rule, peers: ['239.1.2.3'] }] } }],
    ['network.rules.0.ports', { network: { rules: [{ ...rule, ports: ['80'] }] } }],
    ['network.rules.0.ports', { network: { rules: [{ ...rule, protocol: 'icmp', ports: ['80'] }] } }],
    ['network.rules.0.ports.0', { network: { rules: [{ ...rule, protocol: 'tcp', ports: ['0-80'] }] } }],
    ['network.rules.0.direction', { network: { rules: [{ ...rule, direction: 'both', peers: ['example.org'] }] } }],
    ['network.rules.0.burstBytes', { network: { rules: [{ ...rule, burstBytes: 3000 }] } }],
    ['network.rules.0.upBits', { network: { rules: [{ ...rule, upBits: -1 }] } }],
    ['network.rules', { network: { rules: [rule, rule] } }],
    ['files.rules.0.to', { files: { rules: [{ name: 'A', action: 'redirect', paths: ['/a'] }] } }],
    ['files.rules.0.bytes', { files: { rules: [{ name: 'A', action: 'hide', paths: ['/a'], bytes: 1 }] } }],
    ['files.rules.0.paths.0', { files: { rules: [{ name: 'A', action: 'hide', paths: ['/a/../b'] }] } }],
    ['registry.rules.0.keys.0', { registry: { rules: [{ name: 'A', action: 'hide', keys: ['HKDD\\\\a'] }] } }],
    ['registry.rules.0.to', { registry: { rules: [{ name: 'A', action: 'deny', keys: ['HKLM'], to: 'HKLM' }] } }],
    ['limits.io.0.device', { limits: { io: [{ device: 'nic' }] } }],
    ['limits.io', { limits: { io: [{ device: 'disk' }, { device: 'disk' }] } }],
    ['limits.network.0.lossPercent', { limits: { network: [{ nic: 0, lossPercent: 101 }] } }],
    ['limits.network.0.burstBytes', { limits: { network: [{ nic: 0, burstBytes: 1 }] } }],
    ['limits.network', { limits: { network: [{ nic: 1 }, { nic: 1 }] } }],
    ['version', { version: 2 }],
  ])('that cannot be enforced is refused at %s', (path, document) => {
    expect(() => parseOrRefuse(SandboxPolicySchema, document, 'policy')).toThrow(
      expect.objectContaining({ kind: 'invalid', context: { path } }),
    )
  })

  test('may log what leads nowhere, and allow names to ping', () => {
    const rules = [
      { name: 'multicast', action: 'log', peers: ['224.0.0.0/4'] },
      { name: 'ping', action: 'allow', protocol: 'icmp', peers: ['example.org'] },
    ]

    expect(v.safeParse(SandboxPolicySchema, { network: { rules } }).success).toBe(true)
  })
})

describe('a peer', () => {
  test.each([
    ['*.internal', { kind: 'name', name: 'internal', below: true }],
    ['Example.ORG.', { kind: 'name', name: 'example.org', below: false }],
    ['*', { kind: 'name', name: '', below: true }],
    ['domain:my web', { kind: 'domain', name: 'my web' }],
    ['192.0.2.1', { kind: 'block', block: { address: 0xc000_0201, bits: 32 } }],
    ['0.0.0.0/0', { kind: 'block', block: { address: 0, bits: 0 } }],
  ])('%s is one', (text, peer) => {
    expect(parsePeer(text)).toEqual(peer)
  })

  test.each([
    '', 'Any', 'everyone', 'domain:', 'domain: x', 'group:', '10.0.0.1/8', '10.0.0.0/33', '10.0.0', '1.2.3.4.5', '010.0.0.1', '*.', '**',
    '*.*.org', 'a..b', 'exa mple.org', '-a.org', '::1', 'fe80::/10', 'example.org/24', `${'a'.repeat(64)}.org`, 'a.'.repeat(130) + 'org', '*.10',
  ])('%s is none', (text) => {
    expect(parsePeer(text)).toBeNull()
  }) // prettier-ignore
})
