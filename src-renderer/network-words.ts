import { parsePeer, type DenialView, type MirrorView, type NetworkRule, type NicMode } from '../src-main/contract'
import { bitRate, plural } from './format'

/** The words and sentences in which networks and their rules are told. */

export const MODE_WORDS: Record<NicMode, { word: string; note: string }> = {
  gateway: { word: 'Gateway', note: 'To the host’s network through Vivarium’s gateway, as far as the policy allows.' },
  segment: { word: 'Segment', note: 'To the domains on the same segment and nobody else.' },
}

export const ACTION_WORDS: Record<NetworkRule['action'], { word: string; note: string }> = {
  allow: { word: 'Allow', note: 'It passes, within the limits below.' },
  deny: { word: 'Deny', note: 'It is refused at once, so that the guest does not wait.' },
  log: { word: 'Log', note: 'It is noted; a rule further down decides.' },
}

export const DIRECTION_WORDS: Record<NetworkRule['direction'], string> = {
  out: 'The guest calls out',
  in: 'Others call the guest',
  both: 'Either calls the other',
}

export const PROTOCOL_WORDS: Record<NetworkRule['protocol'], string> = {
  any: 'Any protocol',
  tcp: 'TCP',
  udp: 'UDP',
  icmp: 'ICMP (ping)',
}

/** Which frames a mirror or a capture gets. */
export const STAGE_WORDS: Record<MirrorView['stage'], { word: string; note: string }> = {
  before: { word: 'All, as they were sent', note: 'Also what the policy refuses: a watcher sees every attempt.' },
  after: { word: 'Only what the policy lets pass', note: 'What is refused is left out.' },
}

/** Seen from the guest that is watched. */
export const MIRROR_DIRECTIONS: Record<MirrorView['direction'], string> = {
  both: 'Sent and received',
  up: 'Sent only',
  down: 'Received only',
}

export const mirrorWords = ({ stage, direction }: MirrorView): string =>
  `${MIRROR_DIRECTIONS[direction]}, ${stage === 'before' ? 'before' : 'after'} policy`

/** What limits are given in, with how many of the smallest unit each is. */
export const BIT_UNITS = [
  { word: 'kbit/s', factor: 1e3 },
  { word: 'Mbit/s', factor: 1e6 },
  { word: 'Gbit/s', factor: 1e9 },
] as const
export const BURST_UNITS = [
  { word: 'kB', factor: 1e3 },
  { word: 'MB', factor: 1e6 },
] as const

/** A name for the network with this name, which is '' for the gateway's own. */
export const segmentWord = (name: string): string => name || 'Gateway network'

/** 'TCP', and 'protocol 47' for one without a name of its own. */
export const protocolWord = (protocol: string): string =>
  /^\d+$/.test(protocol) ? `protocol ${protocol}` : protocol.toUpperCase()

const DNS_PORT = 53

/** Whether it was a question for the address of a name that was refused. */
export function isLookup({ direction, protocol, port, peerName }: Omit<DenialView, 'seq'>): boolean {
  return direction === 'out' && protocol !== 'icmp' && port === DNS_PORT && parsePeer(peerName)?.kind === 'name'
}

/** 'example.org:443' for a person, where either may be unknown. */
export function peerWord({ peer, peerName, port }: { peer: string; peerName: string; port: number }): string {
  return `${peerName || peer}${port > 0 ? `:${port}` : ''}`
}

export const PEER_KEYWORDS: Record<'any' | 'public' | 'private' | 'neighbours' | 'host' | '*', string> = {
  any: 'Everybody but this host itself',
  public: 'The internet',
  private: 'Private networks, such as 192.168.x.x',
  neighbours: 'Every other domain on the same network',
  host: 'This host itself: its loopback',
  '*': 'Whatever has a DNS name',
}

/** What a peer of a rule stands for; '' for what is none. */
export function peerNote(text: string): string {
  const known = Object.entries(PEER_KEYWORDS).find(([word]) => word === text)
  if (known) return known[1]
  const peer = parsePeer(text)
  if (!peer) return ''
  if (peer.kind === 'domain') return `The domain ${peer.name}`
  if (peer.kind === 'group') return `Every domain of the group ${peer.name}`
  if (peer.kind === 'name') return peer.below ? `Every name below ${peer.name}` : `Addresses of ${peer.name}`
  return text.includes('/') ? 'A block of addresses' : 'One address'
}

/** 'out · TCP · example.org, 2 more · 443, 8000-8999': what a rule holds for. */
export function ruleSummary(rule: NetworkRule): string {
  const way = rule.direction === 'both' ? 'out and in' : rule.direction
  const protocol = rule.protocol === 'any' ? 'any protocol' : protocolWord(rule.protocol)
  const [first = 'nobody', ...more] = rule.peers
  const limits = [
    ...(rule.upBits > 0 ? [`up ${bitRate(rule.upBits)}`] : []),
    ...(rule.downBits > 0 ? [`down ${bitRate(rule.downBits)}`] : []),
  ]
  return [way, protocol, more.length > 0 ? `${first} +${more.length}` : first, rule.ports.join(', '), ...limits]
    .filter(Boolean)
    .join(' · ')
}

export const ruleCount = (count: number): string => (count === 0 ? 'No rules' : plural(count, 'rule'))
