import { parseAddress } from '../../vmm/model/ipv4'
import {
  DIRECTIONS,
  PROTOCOLS,
  RULE_ACTIONS,
  type Direction,
  type NetworkRule,
  type Protocol,
  type RuleAction,
} from '../../vmm/model/policy'
import type { FlowFacts, PeerFacts, Place } from '../../vmm/net/policy-verdict'
import { below, pick, type Random } from './random-values'

/** Rules and flows out of few values, so that they often meet, with the edges of every block among them. */

const PEERS = [
  'any', 'public', 'private', 'neighbours', 'host', 'domain:web', 'domain:db', 'group:lab', 'group:web',
  '10.0.0.0/8', '10.86.0.0/16', '10.86.0.5', '172.16.0.0/12', '192.168.1.0/24', '192.168.1.128/25', '0.0.0.0/0', '0.0.0.0/1',
  '128.0.0.0/1', '169.254.0.0/16', '169.254.169.254', '168.0.0.0/7', '93.184.0.0/15', '93.184.216.34', '93.184.216.34/31',
  '8.8.8.8', '255.255.255.255', '127.0.0.1', '100.64.0.0/10',
] as const // prettier-ignore
const NAME_PEERS = [
  '*',
  'example.org',
  '*.example.org',
  'www.example.org',
  '*.org',
  'ample.org',
  'tracker.example.net',
] as const
export const NAMES = [
  'example.org', 'www.example.org', 'a.b.example.org', 'ample.org', 'badexample.org', 'org', 'example.net', 'tracker.example.net',
] as const // prettier-ignore
const PORTS = ['53', '853', '443', '80', '1-65535', '50-60', '8000-8999', '65535', '1'] as const
const FLOW_PORTS = [1, 52, 53, 54, 80, 443, 853, 8000, 8999, 9000, 65_535] as const
const NUMBERS = [1, 6, 6, 6, 17, 17, 47, 0, 255] as const
const PLACES: readonly Place[] = ['host', 'neighbour', 'outside', 'outside', 'outside']
const NEIGHBOURS = [
  null,
  { name: 'web', group: '' },
  { name: 'web', group: 'lab' },
  { name: 'db', group: 'lab' },
  { name: 'lab', group: 'web' },
]
export const ADDRESSES = [
  '0.0.0.0', '0.255.255.255', '1.0.0.0', '8.8.8.8', '9.255.255.255', '10.0.0.0', '10.86.0.5', '10.86.255.255', '10.87.0.5',
  '10.255.255.255', '11.0.0.0', '93.183.255.255', '93.184.216.34', '93.184.216.35', '93.185.255.255', '100.63.255.255',
  '100.64.0.0', '100.127.255.255', '126.255.255.255', '127.0.0.1', '128.0.0.0', '168.1.2.3', '169.253.255.255', '169.254.0.0',
  '169.254.169.254', '169.255.0.0', '172.15.255.255', '172.16.0.0', '172.31.255.255', '172.32.0.0', '192.168.1.127',
  '192.168.1.128', '192.169.0.0', '198.17.255.255', '198.18.0.0', '198.19.255.255', '198.20.0.0', '223.255.255.255',
  '224.0.0.251', '239.255.255.255', '240.0.0.0', '255.255.255.255',
].map((text) => parseAddress(text) ?? 0) // prettier-ignore

/** Up to `most` rules of one policy; they are such as the schema takes, or nearly. */
export function randomRules(random: Random, most: number): NetworkRule[] {
  return Array.from({ length: below(random, most + 1) }, (_, index) => randomRule(random, `rule ${index}`))
}

export function randomRule(random: Random, name: string): NetworkRule {
  const protocol = pick<Protocol>(random, [...PROTOCOLS, 'any', 'any', 'tcp'])
  const direction = pick<Direction>(random, [...DIRECTIONS, 'out'])
  const ported = (protocol === 'tcp' || protocol === 'udp') && random() < 0.6
  const among: readonly string[] = direction === 'out' && random() < 0.5 ? NAME_PEERS : PEERS
  return {
    name,
    action: pick<RuleAction>(random, [...RULE_ACTIONS, 'allow']),
    direction,
    protocol,
    peers: Array.from({ length: 1 + below(random, 3) }, () => pick(random, among)),
    ports: ported ? Array.from({ length: 1 + below(random, 2) }, () => pick(random, PORTS)) : [],
    upBits: 0,
    downBits: 0,
    burstBytes: 0,
  }
}

export function randomFlow(random: Random): FlowFacts {
  const protocol = pick(random, NUMBERS)
  return {
    direction: random() < 0.7 ? 'out' : 'in',
    protocol,
    port: protocol === 6 || protocol === 17 ? pick(random, FLOW_PORTS) : 0,
    peer: randomPeer(random),
  }
}

export function randomPeer(random: Random): PeerFacts {
  const place = pick(random, PLACES)
  return {
    address: random() < 0.9 ? pick(random, ADDRESSES) : below(random, 2 ** 32),
    place,
    domain: pick(random, NEIGHBOURS),
    names: Array.from({ length: below(random, 3) }, () => pick(random, NAMES)),
  }
}
