import { isLinkLocal, isWithin } from './ipv4'
import { parsePorts, type NetworkRule, type SandboxPolicy } from './policy'
import { missingPeers, type KnownNames, type PolicyRemark } from './policy-domains'
import { holdsName, NAMING_BITS, parsePeer, type Peer } from './policy-peer'

/** What is probably not meant, though it can be enforced. */

export function policyWarnings(policy: SandboxPolicy, known: KnownNames): PolicyRemark[] {
  const { rules } = policy.network
  const shadowed = rules.flatMap((rule, index) => {
    const earlier = rules.slice(0, index).find((each) => covers(each, rule, rules.slice(index + 1)))
    const message = `The rule '${rule.name}' has no effect: all that it could match is decided by '${earlier?.name}' before it.`
    return earlier ? [{ path: `network.rules.${index}`, message }] : []
  })
  const uncalled = rules.flatMap((rule, index) => {
    const message = `The rule '${rule.name}' has no effect: who is not a neighbour calls the guest by port forwards only, which need no rule.`
    return isUncalled(rule) ? [{ path: `network.rules.${index}.direction`, message }] : []
  })
  return [...missingPeers(policy, known), ...shadowed, ...uncalled]
}

/** Whether a rule is only about calls from those who cannot call. */
function isUncalled({ direction, peers }: NetworkRule): boolean {
  return direction === 'in' && peers.every((text) => text === 'public' || text === 'private' || text === 'host')
}

/**
 * Whether `rule` changes nothing after `earlier`. Certain when true; false also where several rules together, or blocks
 * that make up a larger one, would cover it.
 */
function covers(earlier: NetworkRule, rule: NetworkRule, later: readonly NetworkRule[]): boolean {
  if (earlier.action === 'log') return false
  const direction = earlier.direction === 'both' || earlier.direction === rule.direction
  const protocol = earlier.protocol === 'any' || earlier.protocol === rule.protocol
  if (!direction || !protocol || !coversPorts(earlier, rule)) return false
  const both = earlier.action === 'allow' && rule.action === 'allow'
  const held = rule.peers.every((text) => earlier.peers.some((each) => holdsPeer(each, text, both)))
  if (!held) return false
  // names are opened by rules for single ports too, and closed only by those for all
  if (earlier.action === 'deny') return rule.action !== 'allow' || isWhole(earlier) || !opensNames(rule)
  return !decidesGuarded(earlier, rule, later)
}

function coversPorts(earlier: NetworkRule, rule: NetworkRule): boolean {
  if (earlier.ports.length === 0) return true
  const outer = earlier.ports.map(parsePorts)
  const inner = rule.ports.map(parsePorts)
  const isIn = (range: (typeof inner)[number]): boolean =>
    outer.some((each) => each !== null && range !== null && each[0] <= range[0] && range[1] <= each[1])
  return inner.length > 0 && inner.every(isIn)
}

/** Whether `outer` holds all of `inner`; between two rules that allow, also for where names may lead. */
function holdsPeer(outer: string, inner: string, bothAllow: boolean): boolean {
  if (outer === inner) return true
  const [large, small] = [parsePeer(outer), parsePeer(inner)]
  if (!large || !small) return false
  if (large.kind === 'any') return small.kind !== 'host' && !(bothAllow && opensAddresses(small))
  if (large.kind === 'neighbours') return small.kind === 'domain' || small.kind === 'group'
  if (large.kind === 'block') return small.kind === 'block' && isWithin(small.block, large.block)
  if (large.kind !== 'name' || small.kind !== 'name') return false
  if (!small.below) return holdsName(large, small.name)
  return large.below && (large.name === small.name || holdsName(large, small.name))
}

function opensAddresses({ kind }: Peer): boolean {
  return kind === 'private' || kind === 'block'
}

function isWhole({ protocol, ports }: NetworkRule): boolean {
  return protocol === 'any' && ports.length === 0
}

function opensNames({ direction, peers }: NetworkRule): boolean {
  const speaks = (text: string): boolean => text === 'any' || text === 'public' || parsePeer(text)?.kind === 'name'
  return direction !== 'in' && peers.some(speaks)
}

/**
 * Whether something that an earlier `allow` passes over, as it does not name it, is decided by `rule`: DNS to strangers and
 * link-local addresses. A denial of these only matters where a rule after it would allow them.
 */
function decidesGuarded(earlier: NetworkRule, rule: NetworkRule, later: readonly NetworkRule[]): boolean {
  if (rule.action === 'allow') return namesGuarded(rule) && !isEqualPart(earlier, rule)
  return rule.action === 'log' || later.some((each) => each.action !== 'deny' && namesGuarded(each))
}

function namesGuarded({ ports, peers }: NetworkRule): boolean {
  return ports.some((port) => port === '53' || port === '853') || peers.some(namesLinkLocal)
}

function namesLinkLocal(text: string): boolean {
  const peer = parsePeer(text)
  return peer?.kind === 'block' && peer.block.bits >= NAMING_BITS && isLinkLocal(peer.block.address)
}

/** Whether all that is guarded is named by both in the same words. */
function isEqualPart(earlier: NetworkRule, rule: NetworkRule): boolean {
  const ports = rule.ports.every((port) => earlier.ports.includes(port))
  return ports && rule.peers.every((peer) => earlier.peers.includes(peer))
}
