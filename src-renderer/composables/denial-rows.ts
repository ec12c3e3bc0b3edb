import type { DenialView, FileDenialView } from '../../src-main/contract'
import { isLookup, peerWord, protocolWord } from '../network-words'
import type { Section } from './policy-draft'

/** One line of what was blocked, whatever refused it. */
export interface DenialRow {
  key: string
  section: Section
  at: number
  count: number
  /** 'TCP', 'File', 'Registry': told apart by a word. */
  badge: string
  /** Between the badge and what was wanted, for screen readers: 'to', 'from', 'change'. */
  way: string
  /** Whether the guest wanted it, rather than somebody else. */
  outward: boolean
  what: string
  /** What else tells it apart, such as an address or a share. */
  aside: string
  /** The card of the network that it came through; -1 for none. */
  nic: number
  rule: string
  reason: string
  source: { section: 'network'; denial: DenialView } | { section: 'files' | 'registry'; denial: FileDenialView }
}

export function networkRow(denial: DenialView): DenialRow {
  const lookup = isLookup(denial)
  const outward = denial.direction === 'out'
  return {
    key: `network ${denial.seq}`,
    section: 'network',
    at: denial.at,
    count: denial.count,
    badge: lookup ? 'DNS' : protocolWord(denial.protocol),
    way: lookup ? 'for' : outward ? 'to' : 'from',
    outward,
    what: lookup ? denial.peerName : peerWord(denial),
    aside: denial.peerName && !lookup ? denial.peer : '',
    nic: denial.nic,
    rule: denial.rule,
    reason: denial.reason,
    source: { section: 'network', denial },
  }
}

export function fileRow(denial: FileDenialView): DenialRow {
  const section = denial.kind === 'file' ? 'files' : 'registry'
  return {
    key: `files ${denial.seq}`,
    section,
    at: denial.at,
    count: denial.count,
    badge: denial.kind === 'file' ? 'File' : 'Registry',
    way: denial.operation,
    outward: true,
    what: denial.path,
    aside: denial.share && `in ${denial.share}`,
    nic: -1,
    rule: denial.rule,
    reason: denial.reason,
    source: { section, denial },
  }
}

/** What was denied of whatever kind, newest first. */
export const denialRows = (network: readonly DenialView[], files: readonly FileDenialView[]): DenialRow[] =>
  [...network.map(networkRow), ...files.map(fileRow)].sort((a, b) => b.at - a.at)
