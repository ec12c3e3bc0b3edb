import * as v from 'valibot'
import { NameSchema } from './domain-name'
import { NICS_MOST } from './hardware'
import { parsePeer, PeerSchema } from './policy-peer'

/**
 * The sandbox policy of a domain: one JSON document with four sections. `network` and `limits` hold rules; `files` and
 * `registry` hold none yet, and refuse any. Every field is known by name: one that is not is refused with its path.
 */

export const RULE_ACTIONS = ['allow', 'deny', 'log'] as const
export const DIRECTIONS = ['out', 'in', 'both'] as const
export const PROTOCOLS = ['any', 'tcp', 'udp', 'icmp'] as const
export type RuleAction = (typeof RULE_ACTIONS)[number]
export type Direction = (typeof DIRECTIONS)[number]
export type Protocol = (typeof PROTOCOLS)[number]

export const RULES_MOST = 200
const PEERS_MOST = 64
const PORTS_MOST = 32
/** The name under which what no rule decides is denied. */
export const DEFAULT_RULE = 'default deny'
/** The name under which DNS to anybody but the gateway is denied, unless a rule names its port. */
export const DNS_RULE = 'DNS only through the gateway'
/** The name under which addresses that lead to no network are denied, unless a rule names their block. */
export const UNROUTABLE_RULE = 'no link-local or reserved addresses'
const OWN_RULES: readonly string[] = [DEFAULT_RULE, DNS_RULE, UNROUTABLE_RULE]

const whole = (what: string, least: number, most: number) =>
  v.pipe(
    v.number(`${what} is a number.`),
    v.integer(`${what} is a whole number.`),
    v.minValue(least, `${what} is at least ${least}.`),
    v.maxValue(most, `${what} is at most ${most}.`),
  )

const BITS_MOST = 1e11
const BURST_MOST = 1e9

/** `443` or `8000-8999`. */
export const PortRangeSchema = v.pipe(
  v.string('A port or a range of ports is text, such as "443" or "8000-8999".'),
  v.check((text) => parsePorts(text) !== null, 'Ports are "443" or "8000-8999", from 1 to 65535.'),
)

/** First and last port; null for what is no range. */
export function parsePorts(text: string): readonly [first: number, last: number] | null {
  const [, from, to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const first = Number(from ?? NaN)
  const last = to === undefined ? first : Number(to)
  return first >= 1 && first <= last && last <= 65_535 ? [first, last] : null
}

export const NetworkRuleSchema = v.pipe(
  v.strictObject({
    /** Tells the rule from others of the policy, in the log and beside every denial. */
    name: v.pipe(
      NameSchema,
      v.check((name) => !OWN_RULES.includes(name), 'This name belongs to a rule of Vivarium itself.'),
    ),
    /** `log` notes what it matches and leaves the decision to the rules after it. */
    action: v.picklist(RULE_ACTIONS, `The action is one of: ${RULE_ACTIONS.join(', ')}.`),
    /** Who begins: `out` is the guest. Replies belong to what they reply to. */
    direction: v.optional(v.picklist(DIRECTIONS, `The direction is one of: ${DIRECTIONS.join(', ')}.`), 'out'),
    protocol: v.optional(v.picklist(PROTOCOLS, `The protocol is one of: ${PROTOCOLS.join(', ')}.`), 'any'),
    /** The other side: any of these. */
    peers: v.pipe(
      v.array(PeerSchema),
      v.minLength(1, 'A rule names at least one peer, such as "any".'),
      v.maxLength(PEERS_MOST, `A rule names at most ${PEERS_MOST} peers.`),
    ),
    /** Ports of whoever is called; none for all. */
    ports: v.optional(v.pipe(v.array(PortRangeSchema), v.maxLength(PORTS_MOST)), []),
    /** Bits a second that all flows of the rule together may send; 0 for no limit. */
    upBits: v.optional(whole('A rate', 0, BITS_MOST), 0),
    /** Bits a second that they may receive. */
    downBits: v.optional(whole('A rate', 0, BITS_MOST), 0),
    /** Bytes that may pass at once before a limit holds; 0 for what 20 ms of the rate are. */
    burstBytes: v.optional(whole('A burst', 0, BURST_MOST), 0),
  }),
  v.forward(
    v.check(
      ({ ports, protocol }) => ports.length === 0 || protocol === 'tcp' || protocol === 'udp',
      'Only tcp and udp have ports; choose one of them as the protocol.',
    ),
    ['ports'],
  ),
  v.forward(
    v.check(
      ({ direction, peers }) => direction === 'out' || !peers.some(isNamePeer),
      'Names are known of those whom the guest calls; with names, the direction is "out".',
    ),
    ['direction'],
  ),
  v.forward(
    v.check(
      ({ action, upBits, downBits }) => action === 'allow' || (upBits === 0 && downBits === 0),
      'Only what is allowed can be limited.',
    ),
    ['action'],
  ),
)
export type NetworkRule = v.InferOutput<typeof NetworkRuleSchema>
export type NetworkRuleInput = v.InferInput<typeof NetworkRuleSchema>

/** What one network card may do, whatever the rules allow. */
export const NicLimitSchema = v.strictObject({
  /** Which card, counted from 0. */
  nic: whole('The number of a network card', 0, NICS_MOST - 1),
  /** Bits a second that the guest may send; 0 for no limit. */
  upBits: v.optional(whole('A rate', 0, BITS_MOST), 0),
  downBits: v.optional(whole('A rate', 0, BITS_MOST), 0),
  burstBytes: v.optional(whole('A burst', 0, BURST_MOST), 0),
  /** Added to the way of every frame, each way, milliseconds; for testing. */
  delayMs: v.optional(whole('A delay', 0, 10_000), 0),
  /** How many frames of a hundred are lost, each way; for testing. */
  lossPercent: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(100)), 0),
})
export type NicLimit = v.InferOutput<typeof NicLimitSchema>

export const SandboxPolicySchema = v.strictObject({
  version: v.optional(v.literal(1, 'This version of Vivarium knows version 1 of the policy.'), 1),
  network: v.optional(
    v.strictObject({
      /** In order: the first that matches and is no `log` decides. What none decides is denied. */
      rules: v.optional(
        v.pipe(
          v.array(NetworkRuleSchema),
          v.maxLength(RULES_MOST, `A policy has at most ${RULES_MOST} rules.`),
          v.check(
            (rules) => new Set(rules.map((rule) => rule.name)).size === rules.length,
            'Two rules have the same name.',
          ),
        ),
        [],
      ),
    }),
    {},
  ),
  files: v.optional(v.strictObject({}), {}),
  registry: v.optional(v.strictObject({}), {}),
  limits: v.optional(
    v.strictObject({
      network: v.optional(
        v.pipe(
          v.array(NicLimitSchema),
          v.maxLength(NICS_MOST),
          v.check(
            (limits) => new Set(limits.map((limit) => limit.nic)).size === limits.length,
            'A network card has two limits.',
          ),
        ),
        [],
      ),
    }),
    {},
  ),
})
export type SandboxPolicy = v.InferOutput<typeof SandboxPolicySchema>
export type SandboxPolicyInput = v.InferInput<typeof SandboxPolicySchema>

/** Nothing but an address and the name of the gateway. */
export const EMPTY_POLICY: Readonly<SandboxPolicy> = v.parse(SandboxPolicySchema, {})

function isNamePeer(peer: string): boolean {
  return parsePeer(peer)?.kind === 'name'
}
