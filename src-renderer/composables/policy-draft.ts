import * as v from 'valibot'
import {
  DIRECTIONS,
  FileRuleSchema,
  NetworkRuleSchema,
  parsePeer,
  PROTOCOLS,
  RegistryRuleSchema,
  type DenialView,
  type FileRule,
  type NetworkRule,
  type NicLimit,
  type RegistryRule,
  type SandboxPolicy,
} from '../../src-main/contract'
import { isLookup } from '../network-words'

/** Rules and limits as they are edited. Nothing here changes what it is handed. */

/** The sections of a policy that hold rules. */
export const SECTIONS = ['network', 'files', 'registry'] as const
export type Section = (typeof SECTIONS)[number]
export interface RuleOf {
  network: NetworkRule
  files: FileRule
  registry: RegistryRule
}
export type AnyRule = RuleOf[Section]

/** A rule with a key that stays with it while it is renamed and moved. */
export interface DraftRule<Rule extends AnyRule = AnyRule> {
  key: number
  rule: Rule
}

export type Draft = { [S in Section]: readonly DraftRule<RuleOf[S]>[] } & {
  limits: readonly NicLimit[]
  io: SandboxPolicy['limits']['io']
}

/** Nothing is allowed, nothing limited. */
export const EMPTY_DRAFT: Draft = { network: [], files: [], registry: [], limits: [], io: [] }

let lastKey = 0
export const keyed = <Rule extends AnyRule>(rule: Rule): DraftRule<Rule> => ({ key: ++lastKey, rule })

export function draftOf({ network, files, registry, limits }: SandboxPolicy): Draft {
  return {
    network: network.rules.map(keyed),
    files: files.rules.map(keyed),
    registry: registry.rules.map(keyed),
    limits: limits.network,
    io: limits.io,
  }
}

export function policyOf({ network, files, registry, limits, io }: Draft): SandboxPolicy {
  return {
    version: 1,
    network: { rules: network.map(({ rule }) => rule) },
    files: { rules: files.map(({ rule }) => rule) },
    registry: { rules: registry.map(({ rule }) => rule) },
    limits: { network: limits.filter(limitsSomething), io },
  }
}

/** 'Web', 'Web 2', … : the first that no other rule has. */
export function freeRuleName(stem: string, rules: readonly DraftRule[]): string {
  const taken = new Set(rules.map(({ rule }) => rule.name))
  const short = stem.slice(0, 90).trim()
  for (let number = 1; ; number++) {
    const name = number === 1 ? short : `${short} ${number}`
    if (!taken.has(name)) return name
  }
}

/** What a rule of each section says before anybody has said anything. */
const USUAL: { [S in Section]: RuleOf[S] } = {
  network: {
    name: 'New rule',
    action: 'allow',
    direction: 'out',
    protocol: 'any',
    peers: ['any'],
    ports: [],
    upBits: 0,
    downBits: 0,
    burstBytes: 0,
  },
  files: {
    name: 'New rule',
    action: 'read-only',
    shares: [],
    paths: ['**'],
    ignoreCase: false,
    to: '',
    bytes: 0,
    files: 0,
  },
  registry: { name: 'New rule', action: 'read-only', keys: ['HKLM\\**'], to: '' },
}

export function newRuleOf<S extends Section>(
  section: S,
  rules: readonly DraftRule[],
  given: Partial<RuleOf[S]> = {},
): RuleOf[S] {
  const rule: RuleOf[S] = { ...USUAL[section], ...given }
  return { ...rule, name: freeRuleName(rule.name, rules) }
}

export const newRule = (rules: readonly DraftRule[], given: Partial<NetworkRule> = {}): NetworkRule =>
  newRuleOf('network', rules, given)

export const inserted = <Rule>(rules: readonly Rule[], at: number, rule: Rule): Rule[] => rules.toSpliced(at, 0, rule)

/** The rules with the one at `from` at `to`; as they were when there is no such place. */
export function moved<Rule>(rules: readonly Rule[], from: number, to: number): readonly Rule[] {
  const rule = rules[from]
  if (rule === undefined || to < 0 || to >= rules.length) return rules
  return inserted(rules.toSpliced(from, 1), to, rule)
}

export const NO_LIMIT: Omit<NicLimit, 'nic'> = { upBits: 0, downBits: 0, burstBytes: 0, delayMs: 0, lossPercent: 0 }

export const limitOf = (limits: readonly NicLimit[], nic: number): NicLimit =>
  limits.find((limit) => limit.nic === nic) ?? { nic, ...NO_LIMIT }

export function withLimit(limits: readonly NicLimit[], limit: NicLimit): NicLimit[] {
  return [...limits.filter(({ nic }) => nic !== limit.nic), limit].sort((a, b) => a.nic - b.nic)
}

export function limitsSomething({ nic: _nic, ...rest }: NicLimit): boolean {
  return Object.values(rest).some((value) => value > 0)
}

/** What is wrong, by the field of a rule. */
export type RuleFaults = Partial<Record<string, string>>

const RULE_SCHEMAS = { network: NetworkRuleSchema, files: FileRuleSchema, registry: RegistryRuleSchema } as const

/** What is wrong with each field of a rule among the others of its section, in the schema's own words. */
export function ruleFaults(section: Section, { key, rule }: DraftRule, rules: readonly DraftRule[]): RuleFaults {
  const result = v.safeParse(RULE_SCHEMAS[section], rule)
  const faults: RuleFaults = {}
  for (const issue of result.issues ?? []) {
    const field = issue.path?.[0]?.key
    if (typeof field === 'string') faults[field] ??= issue.message
  }
  const twin = rules.some((other) => other.key !== key && other.rule.name === rule.name)
  return twin ? { ...faults, name: 'Another rule has this name.' } : faults
}

/** Which part of a policy a path such as 'network.rules.2.peers.0' names. */
export function placeOf(path: string): { section: Section; rule: number; field: string } | { limit: number } | null {
  const [, name, rule, field] = /^(\w+)\.rules\.(\d+)(?:\.(\w+))?/.exec(path) ?? []
  const section = SECTIONS.find((known) => known === name)
  if (section && rule !== undefined) return { section, rule: Number(rule), field: field ?? '' }
  const [, limit] = /^limits\.network\.(\d+)/.exec(path) ?? []
  return limit === undefined ? null : { limit: Number(limit) }
}

export type RuleWish = Pick<DenialView, 'direction' | 'protocol' | 'port'> & { peer: string }

/**
 * What a rule must say to allow what was denied: by name where there is one. At the address of a gateway the guest sees
 * the host.
 */
export function wishOf(denial: DenialView, gateways: readonly string[]): RuleWish {
  const { direction, protocol, peer, peerName, port } = denial
  const named = direction === 'out' && parsePeer(peerName)?.kind === 'name'
  // a name that was not resolved is of use only when whoever has it may be called
  if (isLookup(denial)) return { direction, protocol: 'any', peer: peerName, port: 0 }
  return { direction, protocol, peer: named ? peerName : gateways.includes(peer) ? 'host' : peer, port }
}

/** The same as it came through an address of a page, where anything may stand. */
export function wishFrom(query: Record<string, unknown>): RuleWish | null {
  const { peer, direction, protocol, port } = query
  if (typeof peer !== 'string' || parsePeer(peer) === null) return null
  return {
    peer,
    direction: direction === 'in' ? 'in' : 'out',
    protocol: PROTOCOLS.find((known) => known === protocol) ?? 'any',
    port: typeof port === 'string' && /^\d{1,5}$/.test(port) ? Number(port) : 0,
  }
}

export function ruleForWish({ peer, direction, protocol, port }: RuleWish, rules: readonly DraftRule[]): NetworkRule {
  const known = PROTOCOLS.find((each) => each === protocol) ?? 'any'
  const ports = (known === 'tcp' || known === 'udp') && port > 0 ? [String(port)] : []
  return newRule(rules, {
    name: `Allow ${peer}`,
    direction: DIRECTIONS.find((each) => each === direction) ?? 'out',
    protocol: known,
    peers: [peer],
    ports,
  })
}
