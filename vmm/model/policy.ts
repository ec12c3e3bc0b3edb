import * as v from 'valibot'
import { NameSchema } from './domain-name'
import { NICS_MOST } from './hardware'
import { isLinkLocal, isUnroutableBlock } from './ipv4'
import { FilesSection } from './policy-files'
import { IoLimitsSection } from './policy-io'
import { parsePeer, PeerSchema } from './policy-peer'
import { RegistrySection } from './policy-registry'

/**
 * The sandbox policy of a domain: one JSON document with four sections: `network`, `files`, `registry` and `limits`.
 * Every field is known by name: one that is not is refused with its path.
 * docs/policy.md tells people what it means; docs/policy.schema.json is made of this schema, with its descriptions.
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
/** The name under which answers of DNS are refused that would lead a public name to a private address. */
export const REBINDING_RULE = 'no private addresses for public names'
export const OWN_RULES: readonly string[] = [DEFAULT_RULE, DNS_RULE, UNROUTABLE_RULE, REBINDING_RULE]

const BITS_MOST = 1e11
const BURST_MOST = 1e9

const whole = (what: string, least: number, most: number) =>
  v.pipe(
    v.number(`${what} is a number.`),
    v.integer(`${what} is a whole number.`),
    v.minValue(least, `${what} is at least ${least}.`),
    v.maxValue(most, `${what} is at most ${most}.`),
  )

/** A number that is 0 unless it is told. */
const amount = (what: string, most: number, description: string) =>
  v.optional(v.pipe(whole(what, 0, most), v.description(description)), 0)

const rate = (description: string) => amount('A rate', BITS_MOST, `${description}, bits a second; 0 for no limit.`)
const burst = amount(
  'A burst',
  BURST_MOST,
  'Bytes that may pass at once before a limit holds; 0 for what 20 ms of the rate are.',
)

/** A burst of no rate would say nothing. */
const burstNeedsRate = <T extends { upBits: number; downBits: number; burstBytes: number }>() =>
  v.check<T, string>(
    ({ upBits, downBits, burstBytes }) => burstBytes === 0 || upBits + downBits > 0,
    'A burst is part of a rate; give upBits or downBits.',
  )

const PORTS = /^(\d{1,5})(?:-(\d{1,5}))?$/
const PORTS_SAID = 'Ports are "443" or "8000-8999", from 1 to 65535.'

/** `443` or `8000-8999`. */
export const PortRangeSchema = v.pipe(
  v.string('A port or a range of ports is text, such as "443" or "8000-8999".'),
  v.regex(PORTS, PORTS_SAID),
  v.check((text) => parsePorts(text) !== null, PORTS_SAID),
  v.description('A port, "443", or a range of them, "8000-8999".'),
)

/** First and last port; null for what is no range. */
export function parsePorts(text: string): readonly [first: number, last: number] | null {
  const [, from, to] = PORTS.exec(text) ?? []
  const first = Number(from ?? NaN)
  const last = to === undefined ? first : Number(to)
  return first >= 1 && first <= last && last <= 65_535 ? [first, last] : null
}

const RuleNameSchema = v.pipe(
  NameSchema,
  v.check((name) => !OWN_RULES.includes(name), 'This name belongs to a rule of Vivarium itself.'),
  v.description('Tells the rule from the others, in the log and beside every denial.'),
)

export const NetworkRuleSchema = v.pipe(
  v.strictObject({
    name: RuleNameSchema,
    action: v.pipe(
      v.picklist(RULE_ACTIONS, `The action is one of: ${RULE_ACTIONS.join(', ')}.`),
      v.description('"log" notes what it matches and leaves the decision to the rules after it.'),
    ),
    direction: v.optional(
      v.pipe(
        v.picklist(DIRECTIONS, `The direction is one of: ${DIRECTIONS.join(', ')}.`),
        v.description('Who begins: "out" is the guest. Replies belong to what they reply to.'),
      ),
      'out',
    ),
    protocol: v.optional(
      v.pipe(
        v.picklist(PROTOCOLS, `The protocol is one of: ${PROTOCOLS.join(', ')}.`),
        v.description('What is spoken; "any" is every protocol of IPv4.'),
      ),
      'any',
    ),
    peers: v.pipe(
      v.array(PeerSchema),
      v.minLength(1, 'A rule names at least one peer, such as "any".'),
      v.maxLength(PEERS_MOST, `A rule names at most ${PEERS_MOST} peers.`),
      v.description('The other side: any of these.'),
    ),
    ports: v.optional(
      v.pipe(
        v.array(PortRangeSchema),
        v.maxLength(PORTS_MOST, `A rule names at most ${PORTS_MOST} ranges of ports.`),
        v.description('Ports of whoever is called; none for all. Only tcp and udp have them.'),
      ),
      [],
    ),
    upBits: rate('What all flows of the rule together may send'),
    downBits: rate('What all flows of the rule together may receive'),
    burstBytes: burst,
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
      ({ action, peers }) => action !== 'allow' || !peers.some(leadsNowhere),
      'A block of loopback, multicast or reserved addresses leads nowhere and cannot be allowed; "host" is the host.',
    ),
    ['peers'],
  ),
  v.forward(
    v.check(
      ({ action, upBits, downBits }) => action === 'allow' || (upBits === 0 && downBits === 0),
      'Only what is allowed can be limited.',
    ),
    ['action'],
  ),
  v.forward(burstNeedsRate(), ['burstBytes']),
  v.description('What one or several peers may do.'),
)
export type NetworkRule = v.InferOutput<typeof NetworkRuleSchema>
export type NetworkRuleInput = v.InferInput<typeof NetworkRuleSchema>

export const NicLimitSchema = v.pipe(
  v.strictObject({
    nic: v.pipe(
      whole('The number of a network card', 0, NICS_MOST - 1),
      v.description('Which network card, counted from 0.'),
    ),
    upBits: rate('What the guest may send'),
    downBits: rate('What the guest may receive'),
    burstBytes: burst,
    delayMs: amount(
      'A delay',
      10_000,
      'Added to the way of every frame, each way, milliseconds; to see how software bears it.',
    ),
    lossPercent: v.optional(
      v.pipe(
        v.number('A loss is a number.'),
        v.minValue(0, 'A loss is at least 0.'),
        v.maxValue(100, 'A loss is at most 100.'),
        v.description('How many frames of a hundred are lost, each way; to see how software bears it.'),
      ),
      0,
    ),
  }),
  v.forward(burstNeedsRate(), ['burstBytes']),
  v.description('What one network card may do, whatever the rules allow.'),
)
export type NicLimit = v.InferOutput<typeof NicLimitSchema>

const NetworkSection = v.strictObject({
  rules: v.optional(
    v.pipe(
      v.array(NetworkRuleSchema),
      v.maxLength(RULES_MOST, `A policy has at most ${RULES_MOST} rules.`),
      v.check((rules) => areDistinct(rules.map((rule) => rule.name)), 'Two rules have the same name.'),
      v.description('In order: the first that matches and is no "log" decides. What none decides is denied.'),
    ),
    [],
  ),
})

const LimitsSection = v.strictObject({
  network: v.optional(
    v.pipe(
      v.array(NicLimitSchema),
      v.maxLength(NICS_MOST, `A domain has at most ${NICS_MOST} network cards.`),
      v.check((limits) => areDistinct(limits.map((limit) => limit.nic)), 'A network card has two limits.'),
      v.description('Limits of network cards; a card that is not here has none.'),
    ),
    [],
  ),
  io: IoLimitsSection,
})

export const SandboxPolicySchema = v.strictObject({
  version: v.optional(v.literal(1, 'This version of Vivarium knows version 1 of the policy.'), 1),
  network: v.optional(v.pipe(NetworkSection, v.description('With whom the guest may exchange what.')), {}),
  files: v.optional(v.pipe(FilesSection, v.description('What the guest sees and may do in its shares.')), {}),
  registry: v.optional(
    v.pipe(RegistrySection, v.description('What the guest sees and may change of its Windows registry.')),
    {},
  ),
  limits: v.optional(v.pipe(LimitsSection, v.description('How much the guest may use.')), {}),
})
export type SandboxPolicy = v.InferOutput<typeof SandboxPolicySchema>
export type SandboxPolicyInput = v.InferInput<typeof SandboxPolicySchema>

/** Nothing but an address and the name of the gateway. */
export const EMPTY_POLICY: Readonly<SandboxPolicy> = v.parse(SandboxPolicySchema, {})

function areDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length
}

function isNamePeer(peer: string): boolean {
  return parsePeer(peer)?.kind === 'name'
}

/** Whether a peer is a block that no connection could ever lead into. */
function leadsNowhere(text: string): boolean {
  const peer = parsePeer(text)
  return peer?.kind === 'block' && !isLinkLocal(peer.block.address) && isUnroutableBlock(peer.block)
}
