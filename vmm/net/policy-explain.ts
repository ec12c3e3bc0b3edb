import { VmmError } from '../model/errors'
import { inBlock, isPublic, type Block } from '../model/ipv4'
import { GATEWAY_SUBNET, SEGMENT_SUBNETS } from '../model/network'
import { DEFAULT_RULE, DNS_RULE, UNROUTABLE_RULE, type NetworkRule } from '../model/policy'
import { parsePeer } from '../model/policy-peer'
import { parseTarget, type PolicyQuestion, type Target } from '../model/policy-question'
import { PROTOCOL } from './packet'
import { compilePolicy, type CompiledPolicy } from './policy-compile'
import type { FlowFacts, PeerFacts, Verdict } from './policy-verdict'

/** What would happen to a flow that nobody has begun yet. */
export interface Explanation extends Verdict {
  /** Whether the name of the question resolves; null for a question without a name. */
  resolves: Verdict | null
  /** Rules that would decide instead if the name led to one of their addresses. */
  unless: readonly string[]
  /** All of it for people. */
  sentence: string
}

/** Another domain that the guest could meet. */
export interface NearDomain {
  name: string
  /** '' for none. */
  group: string
  addresses: readonly number[]
}

/**
 * Answers by the very policy that the switch decides with. A name is taken to lead to some public address that, as far as
 * possible, no rule names. The policy of a domain at the other end, which has its say too, is not asked.
 */
export function explain(
  rules: readonly NetworkRule[],
  question: PolicyQuestion,
  near: readonly NearDomain[] = [],
  once: readonly NetworkRule[] = [],
): Explanation {
  const policy = compilePolicy(rules, once)
  const target = parseTarget(question.target)
  if (!target) throw new VmmError('invalid', `'${question.target}' is nobody that could be reached.`)
  if (target.kind === 'name') return explainName(policy, question, target.name, [...rules, ...once])
  const verdict = policy.decide(flowTo(question, peerOf(target, near)))
  const also = target.kind === 'domain' ? ` The policy of '${target.name}' has to allow it as well.` : ''
  const sentence = `${decision(verdict, subject(question))}${verdict.action === 'allow' ? also : ''}${logWords(verdict)}`
  return { ...verdict, resolves: null, unless: [], sentence }
}

function explainName(
  policy: CompiledPolicy,
  question: PolicyQuestion,
  name: string,
  rules: readonly NetworkRule[],
): Explanation {
  const resolves = policy.mayResolve(name)
  if (resolves.action === 'deny') {
    const sentence = `${decision(resolves, `The name ${name}`)} Without an address it cannot be reached.${logWords(resolves)}`
    return { ...resolves, resolves, unless: [], sentence }
  }
  const blocks = publicBlocks(rules)
  const at = (address: number): Verdict =>
    policy.decide(flowTo(question, { address, place: 'outside', domain: null, names: [name] }))
  const verdict = at(unnamedAddress(blocks))
  const others = blocks.map((block) => at(block.address).rule).filter((rule) => rule !== verdict.rule)
  const unless = [...new Set(others)]
  const logged = [...new Set([...resolves.logged, ...verdict.logged])]
  const sentence = [
    `The name ${name} resolves, by ${ruleWords(resolves)}.`,
    `${decision(verdict, subject(question))}${unlessWords(unless)}${logWords({ logged })}`,
  ].join(' ')
  return { ...verdict, logged, resolves, unless, sentence }
}

function flowTo({ direction, protocol, port }: PolicyQuestion, peer: PeerFacts): FlowFacts {
  return { direction, protocol: PROTOCOL[protocol], port, peer }
}

/** Where the switch would find the target. */
function peerOf(target: Exclude<Target, { kind: 'name' }>, near: readonly NearDomain[]): PeerFacts {
  const gateway = GATEWAY_SUBNET.address + 1
  if (target.kind === 'host') return { address: gateway, place: 'host', domain: null, names: [] }
  if (target.kind === 'domain') {
    const found = near.find(({ name }) => name === target.name)
    const domain = { name: target.name, group: found?.group ?? '' }
    return { address: found?.addresses[0] ?? gateway + 1, place: 'neighbour', domain, names: [] }
  }
  const { address } = target
  if (address === gateway) return { address, place: 'host', domain: null, names: [] }
  const found = near.find(({ addresses }) => addresses.includes(address)) ?? null
  const inside = found !== null || inBlock(address, GATEWAY_SUBNET) || inBlock(address, SEGMENT_SUBNETS)
  const domain = found && { name: found.name, group: found.group }
  return { address, place: inside ? 'neighbour' : 'outside', domain, names: [] }
}

/** Blocks of the rules that begin with a public address. */
function publicBlocks(rules: readonly NetworkRule[]): Block[] {
  return rules.flatMap(({ peers }) => {
    const read = peers.map(parsePeer)
    return read.flatMap((peer) => (peer?.kind === 'block' && isPublic(peer.block.address) ? [peer.block] : []))
  })
}

/** The public address that the fewest of `blocks` hold. */
function unnamedAddress(blocks: readonly Block[]): number {
  let best = { address: 0, held: Infinity }
  for (let first = 1; first < 224 && best.held > 0; first++) {
    const address = first * 2 ** 24 + 1
    const held = isPublic(address) ? blocks.filter((block) => inBlock(address, block)).length : Infinity
    if (held < best.held) best = { address, held }
  }
  return best.address
}

function subject({ direction, protocol, port, target }: PolicyQuestion): string {
  const what = protocol === 'icmp' ? 'ICMP' : protocol.toUpperCase()
  const where = port > 0 ? ` port ${port}` : ''
  return direction === 'out' ? `${what} to ${target}${where}` : `${what} from ${target} to${where || ' the guest'}`
}

const OWN_REASONS: Record<string, string> = {
  [DEFAULT_RULE]: 'no rule allows it',
  [DNS_RULE]: 'DNS goes through the gateway only, unless a rule that allows it names its port',
  [UNROUTABLE_RULE]: 'such an address leads to no network',
}

function decision(verdict: Verdict, what: string): string {
  if (verdict.action === 'allow') return `${what} is allowed, by ${ruleWords(verdict)}.`
  return `${what} is denied: ${OWN_REASONS[verdict.rule] ?? `by ${ruleWords(verdict)}`}.`
}

function ruleWords({ rule }: Verdict): string {
  return `the rule '${rule}'`
}

function unlessWords(rules: readonly string[]): string {
  const named = rules.map((rule) => (rule in OWN_REASONS ? rule : `'${rule}'`))
  return rules.length === 0
    ? ''
    : ` If it leads to an address that other rules name, these decide: ${named.join(', ')}.`
}

function logWords({ logged }: Pick<Verdict, 'logged'>): string {
  return logged.length === 0 ? '' : ` It is logged by ${logged.map((rule) => `'${rule}'`).join(', ')}.`
}
