import { VmmError } from '../model/errors'
import { inBlock, isLinkLocal, isPrivate, isPublic, isUnroutable } from '../model/ipv4'
import { DEFAULT_RULE, DNS_RULE, parsePorts, UNROUTABLE_RULE, type NetworkRule } from '../model/policy'
import { holdsName, NAMING_BITS, parsePeer, type Peer } from '../model/policy-peer'
import { PROTOCOL } from './packet'
import type { FlowFacts, PeerFacts, Verdict } from './policy-verdict'

/**
 * What rules mean; test/support/policy-reference.ts says the same again, slowly.
 *
 * A rule matches a flow when its direction (`both` is either), its protocol (`any` is every one), its ports (none are
 * all) and one of its peers match. Peers match by where the other side is:
 *
 * - `any`: everywhere but the host; `host`: the host; `neighbours`: a neighbour
 * - `domain:`, `group:`: a neighbour of that domain or group
 * - `public`, `private`: outside, with such an address
 * - an address or a block: outside or a neighbour, with an address in it
 * - a DNS name: outside, with an address that the gateway's DNS has given this guest for such a name
 *
 * The first match that is no `log` decides; what nothing decides is denied. Two things are guarded: an `allow` rule
 * that does not name them is passed over, and unless some rule decides they are denied under names of their own.
 *
 * - unroutable addresses outside: only link-local ones, and only by a block of at least 16 bits that holds them
 * - TCP and UDP out to ports 53 and 853 outside: only by a rule that has that very port among its ports, not a range
 */
export interface CompiledPolicy {
  decide(flow: FlowFacts): Verdict
  /**
   * Whether a DNS name, in lower case and without a final dot, may be resolved. The first rule for `out` that is no `log`
   * decides: an `allow` that holds the name, `any` or `public`, with whatever protocol and ports, as the name is of use
   * then; a `deny` that holds one of these only with all protocols and ports, as others may still be allowed.
   */
  mayResolve(name: string): Verdict
  /**
   * Whether a name may lead to an address: a public one always; a private one only when an `allow` rule for `out` holds it
   * by a block or `private`, a link-local one by a block of at least 16 bits. `name` is there for rules to come.
   */
  mayLeadTo(name: string, address: number): boolean
  /**
   * Whether the two could talk by any protocol, whoever begins. True for all that `decide` allows something of; also for
   * some that it does not, as denials of single protocols and ports are not added up.
   */
  mayTalk(peer: PeerFacts): boolean
  /** By `Verdict.index`: the rules of the policy in their order, after them those for this run only. */
  readonly rules: readonly CompiledRule[]
}

/** What all flows of a rule share. */
export interface CompiledRule {
  readonly name: string
  /** Allowed for this run only. */
  readonly once: boolean
  /** Bits a second; 0 for no limit. */
  readonly upBits: number
  readonly downBits: number
  /** Bytes; 0 for what 20 ms of the rate are. */
  readonly burstBytes: number
}

/** A rule with its texts read. */
interface ReadRule {
  index: number
  name: string
  action: NetworkRule['action']
  out: boolean
  in: boolean
  /** IP protocol number; null for every one. */
  protocol: number | null
  ports: readonly (readonly [first: number, last: number])[]
  peers: readonly Peer[]
}

const DNS_PORTS: readonly number[] = [53, 853]

/** Rules ready to decide; those that were allowed `once` come before the others. Throws for rules that are none. */
export function compilePolicy(rules: readonly NetworkRule[], once: readonly NetworkRule[] = []): CompiledPolicy {
  const own = rules.map((rule, index) => readRule(rule, index))
  const first = once.map((rule, index) => readRule(rule, rules.length + index))
  const order = [...first, ...own]
  const outward = order.filter((rule) => rule.out)
  const inward = order.filter((rule) => rule.in)
  return {
    decide: (flow) => decide(flow.direction === 'out' ? outward : inward, flow),
    mayResolve: (name) => mayResolve(outward, name),
    mayLeadTo: (_name, address) => isPublic(address) || outward.some((rule) => leadsTo(rule, address)),
    mayTalk: (peer) => mayTalk(outward, peer) || mayTalk(inward, peer),
    rules: [...rules.map((rule) => limitsOf(rule, false)), ...once.map((rule) => limitsOf(rule, true))],
  }
}

function limitsOf({ name, upBits, downBits, burstBytes }: NetworkRule, once: boolean): CompiledRule {
  return { name, once, upBits, downBits, burstBytes }
}

function readRule({ name, action, direction, protocol, ports, peers }: NetworkRule, index: number): ReadRule {
  return {
    index,
    name,
    action,
    out: direction !== 'in',
    in: direction !== 'out',
    protocol: protocol === 'any' ? null : PROTOCOL[protocol],
    ports: ports.map((text) => parsePorts(text) ?? unreadable(name, text)),
    peers: peers.map((text) => parsePeer(text) ?? unreadable(name, text)),
  }
}

function unreadable(rule: string, text: string): never {
  throw new VmmError('invalid', `The rule '${rule}' cannot be enforced: '${text}' means nothing.`)
}

function decide(rules: readonly ReadRule[], flow: FlowFacts): Verdict {
  const logged: string[] = []
  for (const rule of rules) {
    if (!matches(rule, flow)) continue
    if (rule.action === 'log') logged.push(rule.name)
    else if (rule.action === 'deny' || opens(rule, flow)) return verdict(rule, logged)
  }
  const own = isLost(flow.peer) ? UNROUTABLE_RULE : isForeignDns(flow) ? DNS_RULE : DEFAULT_RULE
  return { action: 'deny', rule: own, index: -1, logged }
}

function verdict({ action, name, index }: ReadRule, logged: readonly string[]): Verdict {
  return { action: action === 'allow' ? 'allow' : 'deny', rule: name, index, logged }
}

function matches({ protocol, ports, peers }: ReadRule, flow: FlowFacts): boolean {
  if (protocol !== null && protocol !== flow.protocol) return false
  if (ports.length > 0 && !ports.some(([first, last]) => first <= flow.port && flow.port <= last)) return false
  return peers.some((peer) => isPeer(peer, flow.peer))
}

function isPeer(peer: Peer, { place, address, domain, names }: PeerFacts): boolean {
  switch (peer.kind) {
    case 'any':
      return place !== 'host'
    case 'host':
      return place === 'host'
    case 'neighbours':
      return place === 'neighbour'
    case 'domain':
      return place === 'neighbour' && domain?.name === peer.name
    case 'group':
      return place === 'neighbour' && domain?.group === peer.name
    case 'public':
      return place === 'outside' && isPublic(address)
    case 'private':
      return place === 'outside' && isPrivate(address)
    case 'block':
      return place !== 'host' && inBlock(address, peer.block)
    case 'name':
      return place === 'outside' && names.some((name) => holdsName(peer, name))
  }
}

/** Whether an `allow` rule that matches names what is guarded, if it is. */
function opens(rule: ReadRule, flow: FlowFacts): boolean {
  const port = !isForeignDns(flow) || rule.ports.some(([first, last]) => first === flow.port && last === flow.port)
  return port && opensAddress(rule, flow.peer)
}

function opensAddress({ peers }: ReadRule, peer: PeerFacts): boolean {
  return !isLost(peer) || peers.some((each) => namesLinkLocal(each, peer.address))
}

function namesLinkLocal(peer: Peer, address: number): boolean {
  return peer.kind === 'block' && peer.block.bits >= NAMING_BITS && isLinkLocal(address) && inBlock(address, peer.block)
}

/** An address that leads to no network. */
function isLost({ place, address }: PeerFacts): boolean {
  return place === 'outside' && isUnroutable(address)
}

function isForeignDns({ direction, protocol, port, peer }: FlowFacts): boolean {
  const carries = protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp
  return direction === 'out' && carries && peer.place === 'outside' && DNS_PORTS.includes(port)
}

function mayResolve(outward: readonly ReadRule[], name: string): Verdict {
  const logged: string[] = []
  for (const rule of outward) {
    if (!rule.peers.some((peer) => speaksOf(peer, name))) continue
    if (rule.action === 'allow') return verdict(rule, logged)
    if (!isWhole(rule)) continue
    if (rule.action === 'deny') return verdict(rule, logged)
    logged.push(rule.name)
  }
  return { action: 'deny', rule: DEFAULT_RULE, index: -1, logged }
}

function speaksOf(peer: Peer, name: string): boolean {
  return peer.kind === 'any' || peer.kind === 'public' || (peer.kind === 'name' && holdsName(peer, name))
}

/** Whether the rule holds for everything that its peers may do. */
function isWhole({ protocol, ports }: ReadRule): boolean {
  return protocol === null && ports.length === 0
}

function leadsTo({ action, peers }: ReadRule, address: number): boolean {
  if (action !== 'allow') return false
  if (isUnroutable(address)) return peers.some((peer) => namesLinkLocal(peer, address))
  return peers.some((peer) => peer.kind === 'private' || (peer.kind === 'block' && inBlock(address, peer.block)))
}

function mayTalk(rules: readonly ReadRule[], peer: PeerFacts): boolean {
  for (const rule of rules) {
    if (rule.action === 'log' || !rule.peers.some((each) => isPeer(each, peer))) continue
    if (rule.action === 'allow' && opensAddress(rule, peer)) return true
    if (rule.action === 'deny' && isWhole(rule)) return false
  }
  return false
}
