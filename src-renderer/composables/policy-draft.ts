import * as v from 'valibot'
import {
  DIRECTIONS,
  NetworkRuleSchema,
  parsePeer,
  PROTOCOLS,
  type DenialView,
  type NetworkRule,
  type NicLimit,
  type SandboxPolicy,
} from '../../src-main/contract'
import { isLookup } from '../network-words'

/** Rules and limits as they are edited. Nothing here changes what it is handed. */

/** A rule with a key that stays with it while it is renamed and moved. */
export interface DraftRule {
  key: number
  rule: NetworkRule
}

export interface Draft {
  rules: readonly DraftRule[]
  limits: readonly NicLimit[]
  files: SandboxPolicy['files']
  registry: SandboxPolicy['registry']
  io: SandboxPolicy['limits']['io']
}

/** Nothing is allowed, nothing limited. */
export const EMPTY_DRAFT: Draft = { rules: [], limits: [], files: { rules: [] }, registry: { rules: [] }, io: [] }

let lastKey = 0
export const keyed = (rule: NetworkRule): DraftRule => ({ key: ++lastKey, rule })

export function draftOf(policy: SandboxPolicy): Draft {
  const { files, registry, limits } = policy
  return { rules: policy.network.rules.map(keyed), limits: limits.network, files, registry, io: limits.io }
}

export function policyOf({ rules, limits, files, registry, io }: Draft): SandboxPolicy {
  return {
    version: 1,
    network: { rules: rules.map(({ rule }) => rule) },
    files,
    registry,
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

export function newRule(rules: readonly DraftRule[], given: Partial<NetworkRule> = {}): NetworkRule {
  return {
    name: freeRuleName(given.name ?? 'New rule', rules),
    action: given.action ?? 'allow',
    direction: given.direction ?? 'out',
    protocol: given.protocol ?? 'any',
    peers: given.peers ?? ['any'],
    ports: given.ports ?? [],
    upBits: given.upBits ?? 0,
    downBits: given.downBits ?? 0,
    burstBytes: given.burstBytes ?? 0,
  }
}

export const inserted = (rules: readonly DraftRule[], at: number, rule: DraftRule): DraftRule[] =>
  rules.toSpliced(at, 0, rule)

/** The rules with the one at `from` at `to`; as they were when there is no such place. */
export function moved(rules: readonly DraftRule[], from: number, to: number): readonly DraftRule[] {
  const rule = rules[from]
  if (!rule || to < 0 || to >= rules.length) return rules
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

export type RuleFaults = Partial<Record<keyof NetworkRule, string>>

/** What is wrong with each field of a rule among the others, in the schema's own words. */
export function ruleFaults({ key, rule }: DraftRule, rules: readonly DraftRule[]): RuleFaults {
  const result = v.safeParse(NetworkRuleSchema, rule)
  const faults: RuleFaults = {}
  for (const issue of result.issues ?? []) {
    const field = issue.path?.[0]?.key as keyof NetworkRule | undefined
    if (field) faults[field] ??= issue.message
  }
  const twin = rules.some((other) => other.key !== key && other.rule.name === rule.name)
  return twin ? { ...faults, name: 'Another rule has this name.' } : faults
}

/** Which part of a policy a path such as 'network.rules.2.peers.0' names. */
export function placeOf(path: string): { rule: number; field: string } | { limit: number } | null {
  const [, rule, field] = /^network\.rules\.(\d+)(?:\.(\w+))?/.exec(path) ?? []
  if (rule !== undefined) return { rule: Number(rule), field: field ?? '' }
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
