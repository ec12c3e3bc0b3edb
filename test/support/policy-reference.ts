import type { NetworkRule } from '../../vmm/model/policy'
import type { FlowFacts, PeerFacts } from '../../vmm/net/policy-verdict'

/**
 * The meaning of network rules once more, written down from docs/policy.md as plainly as possible and sharing no code
 * with the compiled policy: every text is read anew for every question. Tests compare the two.
 */

export interface ReferenceVerdict {
  action: 'allow' | 'deny'
  rule: string
  logged: string[]
}

const NUMBERS: Record<string, number> = { icmp: 1, tcp: 6, udp: 17 }

/** `once` rules are asked first. */
export function referenceDecide(
  rules: readonly NetworkRule[],
  once: readonly NetworkRule[],
  flow: FlowFacts,
): ReferenceVerdict {
  const logged: string[] = []
  const unroutable = flow.peer.place === 'outside' && kindOfAddress(flow.peer.address) === 'unroutable'
  const tcpOrUdp = flow.protocol === 6 || flow.protocol === 17
  const dns =
    flow.direction === 'out' && tcpOrUdp && flow.peer.place === 'outside' && (flow.port === 53 || flow.port === 853)
  for (const rule of [...once, ...rules]) {
    if (!ruleMatches(rule, flow)) continue
    if (rule.action === 'log') {
      logged.push(rule.name)
      continue
    }
    if (rule.action === 'deny') return { action: 'deny', rule: rule.name, logged }
    if (dns && !rule.ports.includes(String(flow.port))) continue
    if (unroutable && !rule.peers.some((text) => opensLinkLocal(text, flow.peer.address))) continue
    return { action: 'allow', rule: rule.name, logged }
  }
  if (unroutable) return { action: 'deny', rule: 'no link-local or reserved addresses', logged }
  if (dns) return { action: 'deny', rule: 'DNS only through the gateway', logged }
  return { action: 'deny', rule: 'default deny', logged }
}

function ruleMatches(rule: NetworkRule, flow: FlowFacts): boolean {
  if (rule.direction !== 'both' && rule.direction !== flow.direction) return false
  if (rule.protocol !== 'any' && NUMBERS[rule.protocol] !== flow.protocol) return false
  if (rule.ports.length > 0 && !rule.ports.some((text) => portIn(text, flow.port))) return false
  return rule.peers.some((text) => peerMatches(text, flow.peer))
}

function portIn(text: string, port: number): boolean {
  const [first, last] = text.split('-')
  return last === undefined ? Number(first) === port : Number(first) <= port && port <= Number(last)
}

function peerMatches(text: string, peer: PeerFacts): boolean {
  if (text === 'any') return peer.place !== 'host'
  if (text === 'host') return peer.place === 'host'
  if (text === 'neighbours') return peer.place === 'neighbour'
  if (text === 'public') return peer.place === 'outside' && kindOfAddress(peer.address) === 'public'
  if (text === 'private') return peer.place === 'outside' && kindOfAddress(peer.address) === 'private'
  if (text.startsWith('domain:'))
    return peer.place === 'neighbour' && peer.domain !== null && text === `domain:${peer.domain.name}`
  if (text.startsWith('group:'))
    return peer.place === 'neighbour' && peer.domain !== null && text === `group:${peer.domain.group}`
  if (isBlockText(text)) return peer.place !== 'host' && addressIn(text, peer.address)
  return peer.place === 'outside' && peer.names.some((name) => nameIn(text, name))
}

/** A DNS name ends in a letter here: the generator has no other. */
function isBlockText(text: string): boolean {
  const last = text.charAt(text.length - 1)
  return last >= '0' && last <= '9'
}

function nameIn(text: string, name: string): boolean {
  if (text === '*') return true
  if (text.startsWith('*.')) return name.endsWith(text.slice(1)) && name.length >= text.length
  return text === name
}

/** Both as texts of 32 binary digits, of which the first are the same. */
function addressIn(block: string, address: number): boolean {
  const [first = '', bits = '32'] = block.split('/')
  const digits = Number(bits)
  return binary(numberOf(first)).slice(0, digits) === binary(address).slice(0, digits)
}

function numberOf(text: string): number {
  return text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function binary(address: number): string {
  return address.toString(2).padStart(32, '0')
}

function opensLinkLocal(text: string, address: number): boolean {
  if (!isBlockText(text) || !addressIn('169.254.0.0/16', address) || !addressIn(text, address)) return false
  const [, bits] = text.split('/')
  return bits === undefined || Number(bits) >= 16
}

export function kindOfAddress(address: number): 'unroutable' | 'private' | 'public' {
  const first = Math.floor(address / 2 ** 24)
  const second = Math.floor(address / 2 ** 16) % 256
  if (first === 0 || first === 127 || first >= 224) return 'unroutable'
  if (first === 169 && second === 254) return 'unroutable'
  if (first === 10 || (first === 192 && second === 168)) return 'private'
  if (first === 172 && second >= 16 && second < 32) return 'private'
  if (first === 100 && second >= 64 && second < 128) return 'private'
  if (first === 198 && (second === 18 || second === 19)) return 'private'
  return 'public'
}

/** Whether a DNS name may be resolved, and which rule says so. */
export function referenceResolve(
  rules: readonly NetworkRule[],
  once: readonly NetworkRule[],
  name: string,
): ReferenceVerdict {
  const logged: string[] = []
  for (const rule of [...once, ...rules]) {
    if (rule.direction === 'in') continue
    const speaks = rule.peers.some(
      (text) => text === 'any' || text === 'public' || (isNameText(text) && nameIn(text, name)),
    )
    const aboutEverything = rule.protocol === 'any' && rule.ports.length === 0
    if (speaks && rule.action === 'allow') return { action: 'allow', rule: rule.name, logged }
    if (speaks && aboutEverything && rule.action === 'deny') return { action: 'deny', rule: rule.name, logged }
    if (speaks && aboutEverything && rule.action === 'log') logged.push(rule.name)
  }
  return { action: 'deny', rule: 'default deny', logged }
}

function isNameText(text: string): boolean {
  return text === '*' || (text.includes('.') && !isBlockText(text) && !text.includes(':'))
}

/** Whether a name may lead to an address. */
export function referenceLead(rules: readonly NetworkRule[], once: readonly NetworkRule[], address: number): boolean {
  const kind = kindOfAddress(address)
  const allowed = [...once, ...rules].filter((rule) => rule.action === 'allow' && rule.direction !== 'in')
  const peers = allowed.flatMap((rule) => rule.peers)
  if (kind === 'public') return true
  if (kind === 'unroutable') return peers.some((text) => opensLinkLocal(text, address))
  return peers.some((text) => text === 'private' || (isBlockText(text) && addressIn(text, address)))
}
