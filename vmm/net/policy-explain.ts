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

/** What stands around the guest. */
export interface Surroundings {
  near?: readonly NearDomain[]
  /** Rules that were allowed for this run only. */
  once?: readonly NetworkRule[]
  /** The host's own addresses, beside that of the gateway. */
  hostAddresses?: ReadonlySet<number>
}

/**
 * Answers by the very policy that the switch decides with. A name is taken to lead to some public address that, as far as
 * possible, no rule names. The policy of a domain at the other end, which has its say too, is not asked.
 */
export function explain(
  rules: readonly NetworkRule[],
  question: PolicyQuestion,
  around: Surroundings = {},
): Explanation {
  const { once = [] } = around
  const policy = compilePolicy(rules, once)
  const target = parseTarget(question.target)
  if (!target) throw new VmmError('invalid', `'${question.target}' is nobody that could be reached.`)
  if (target.kind === 'name') return explainName(policy, question, target.name, [...rules, ...once])
  const peer = peerOf(target, around)
  const verdict = policy.decide(flowTo(question, peer))
  const sentence = `${decision(verdict, subject(question))}${proviso(question, peer, verdict)}${logWords(verdict)}`
  return { ...verdict, resolves: null, unless: [], sentence }
}

/** What else has to be so for what is allowed. */
function proviso({ direction }: PolicyQuestion, { place, domain }: PeerFacts, { action }: Verdict): string {
  if (direction === 'in' && place !== 'neighbour')
    return ' Nobody outside can begin but by a port forward, which needs no rule.'
  if (action === 'deny' || place !== 'neighbour') return ''
  return ` The policy of ${domain ? `'${domain.name}'` : 'the domain there'} has to allow it as well.`
}

function explainName(
  policy: CompiledPolicy,
  question: PolicyQuestion,
  name: string,
  rules: readonly NetworkRule[],
): Explanation {
  const resolves = policy.mayResolve(name)
  if (resolves.action === 'deny') {
    const sentence = `The name ${name} does not resolve, and so cannot be reached${reason(resolves, ': denied')}.${logWords(resolves)}`
    return { ...resolves, resolves, unless: [], sentence }
  }
  const blocks = blocksOf(rules)
  const at = (address: number): Verdict =>
    policy.decide(flowTo(question, { address, place: 'outside', domain: null, names: [name] }))
  const verdict = at(usualAddress(blocks))
  const others = samples(blocks).map((address) => at(address).rule)
  const unless = [...new Set(others)].filter((rule) => rule !== verdict.rule)
  const logged = [...new Set([...resolves.logged, ...verdict.logged])]
  const sentence = [
    `The name ${name} resolves, allowed${reason(resolves)}.`,
    `${decision(verdict, subject(question))}${unlessWords(unless)}${logWords({ logged })}`,
  ].join(' ')
  return { ...verdict, logged, resolves, unless, sentence }
}

function flowTo({ direction, protocol, port }: PolicyQuestion, peer: PeerFacts): FlowFacts {
  return { direction, protocol: PROTOCOL[protocol], port, peer }
}

/** Where the switch would find the target. */
function peerOf(target: Exclude<Target, { kind: 'name' }>, { near = [], hostAddresses }: Surroundings): PeerFacts {
  const gateway = GATEWAY_SUBNET.address + 1
  if (target.kind === 'host') return { address: gateway, place: 'host', domain: null, names: [] }
  if (target.kind === 'domain') {
    const found = near.find(({ name }) => name === target.name)
    const domain = { name: target.name, group: found?.group ?? '' }
    return { address: found?.addresses[0] ?? gateway + 1, place: 'neighbour', domain, names: [] }
  }
  const { address } = target
  if (address === gateway || hostAddresses?.has(address)) return { address, place: 'host', domain: null, names: [] }
  const found = near.find(({ addresses }) => addresses.includes(address)) ?? null
  const inside = found !== null || inBlock(address, GATEWAY_SUBNET) || inBlock(address, SEGMENT_SUBNETS)
  const domain = found && { name: found.name, group: found.group }
  return { address, place: inside ? 'neighbour' : 'outside', domain, names: [] }
}

function blocksOf(rules: readonly NetworkRule[]): Block[] {
  return rules.flatMap(({ peers }) => {
    const read = peers.map(parsePeer)
    return read.flatMap((peer) => (peer?.kind === 'block' ? [peer.block] : []))
  })
}

/** A public address of every /8, where there are any. */
const ABROAD = Array.from({ length: 223 }, (_, index) => (index + 1) * 2 ** 24 + 1).filter(isPublic)

/** Public addresses among which is one of every block that has any; a block whose both ends have none may be missed. */
function samples(blocks: readonly Block[]): number[] {
  const ends = blocks.flatMap(({ address, bits }) => [address, address + 2 ** (32 - bits) - 1])
  return [...ABROAD, ...ends.filter(isPublic)]
}

/** The public address that the fewest of `blocks` hold. */
function usualAddress(blocks: readonly Block[]): number {
  const held = ABROAD.map((address) => blocks.filter((block) => inBlock(address, block)).length)
  return ABROAD[held.indexOf(Math.min(...held))] ?? 0
}

function subject({ direction, protocol, port, target }: PolicyQuestion): string {
  const what = protocol === 'icmp' ? 'ICMP' : protocol.toUpperCase()
  const where = port > 0 ? ` port ${port}` : ''
  return direction === 'out' ? `${what} to ${target}${where}` : `${what} from ${target} to${where || ' the guest'}`
}

const OWN_REASONS: ReadonlyMap<string, string> = new Map([
  [DEFAULT_RULE, 'no rule allows it'],
  [DNS_RULE, 'DNS goes through the gateway only, unless a rule that allows it names its port'],
  [UNROUTABLE_RULE, 'such an address leads to no network'],
])

function decision(verdict: Verdict, what: string): string {
  return `${what} is ${verdict.action === 'allow' ? 'allowed' : 'denied'}${reason(verdict)}.`
}

/** Goes after 'denied' and the like, or has `word` for it before the name of a rule. */
function reason({ rule }: Verdict, word = ''): string {
  const own = OWN_REASONS.get(rule)
  return own === undefined ? `${word} by the rule '${rule}'` : `: ${own}`
}

function unlessWords(rules: readonly string[]): string {
  const named = rules.map((rule) => (OWN_REASONS.has(rule) ? rule : `'${rule}'`))
  return rules.length === 0
    ? ''
    : ` If it leads to an address that other rules name, these decide: ${named.join(', ')}.`
}

function logWords({ logged }: Pick<Verdict, 'logged'>): string {
  return logged.length === 0 ? '' : ` It is logged by ${logged.map((rule) => `'${rule}'`).join(', ')}.`
}
