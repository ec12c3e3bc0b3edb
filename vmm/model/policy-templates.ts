import * as v from 'valibot'
import { NetworkRuleSchema, type NetworkRule, type NetworkRuleInput, type SandboxPolicy } from './policy'

/** Policies to begin with: network rules for what people want most often. */

export const TEMPLATE_IDS = ['offline', 'web', 'segment', 'open'] as const
export type TemplateId = (typeof TEMPLATE_IDS)[number]

export interface PolicyTemplate {
  readonly id: TemplateId
  readonly name: string
  /** What a guest can do with it, one sentence. */
  readonly summary: string
  readonly rules: readonly NetworkRule[]
}

const rules = (...given: NetworkRuleInput[]): NetworkRule[] => given.map((rule) => v.parse(NetworkRuleSchema, rule))

export const POLICY_TEMPLATES: readonly PolicyTemplate[] = [
  {
    id: 'offline',
    name: 'Offline',
    summary: 'The guest has an address, and reaches nobody.',
    rules: [],
  },
  {
    id: 'web',
    name: 'Web only',
    summary: 'The guest reaches web servers of the internet, neither your own network nor other domains.',
    rules: rules(
      { name: 'Web', action: 'allow', protocol: 'tcp', ports: ['80', '443'], peers: ['public'] },
      { name: 'Web over QUIC', action: 'allow', protocol: 'udp', ports: ['443'], peers: ['public'] },
    ),
  },
  {
    id: 'segment',
    name: 'Segment only',
    summary: 'The guest and other domains on its network or segment reach each other, and nobody else.',
    rules: rules({ name: 'Neighbours', action: 'allow', direction: 'both', peers: ['neighbours'] }),
  },
  {
    id: 'open',
    name: 'Open',
    summary: 'The guest reaches everybody but the host itself, and other domains reach it.',
    rules: rules(
      { name: 'Everybody', action: 'allow', peers: ['any'] },
      { name: 'From neighbours', action: 'allow', direction: 'in', peers: ['neighbours'] },
    ),
  },
]

/** Which template the network rules of a policy are, whatever its limits; '' for none of them. */
export function templateOf(policy: SandboxPolicy): TemplateId | '' {
  const own = rulesText(policy.network.rules)
  return POLICY_TEMPLATES.find(({ rules }) => rulesText(rules) === own)?.id ?? ''
}

/** The policy with the network rules of a template; limits and everything else stay. */
export function withTemplate(policy: SandboxPolicy, id: TemplateId): SandboxPolicy {
  const rules = POLICY_TEMPLATES.find((template) => template.id === id)?.rules ?? []
  return { ...policy, network: { ...policy.network, rules: structuredClone([...rules]) } }
}

/** The same for rules that mean the same, whatever the order of their fields. */
function rulesText(rules: readonly NetworkRule[]): string {
  const fields = ({ name, action, direction, protocol, peers, ports, upBits, downBits, burstBytes }: NetworkRule) =>
    [name, action, direction, protocol, peers, ports, upBits, downBits, burstBytes] // prettier-ignore
  return JSON.stringify(rules.map(fields))
}
