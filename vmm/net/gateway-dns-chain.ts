import type { Answer, RecordType } from 'dns-packet'
import { dnsName } from '../model/policy-peer'

const ALIASES_MOST = 16
/** Records that are given to a guest. */
const RECORDS_MOST = 64
const TTL_LEAST = 5
const TTL_MOST = 3600

/**
 * The records of an answer that belong to the question: its aliases in order from `name`, then those of `type` at the
 * last of them. Everything else that a server adds, it was not asked for. Every TTL is the least of theirs, bounded.
 */
export function chainOf(records: readonly Answer[], name: string, type: RecordType): Answer[] {
  const chain: Answer[] = []
  const seen = new Set<string>()
  let owner = name
  while (type !== 'CNAME' && !seen.has(owner) && seen.size < ALIASES_MOST) {
    seen.add(owner)
    const alias = records.find((record) => record.type === 'CNAME' && ownerOf(record) === owner)
    const next = alias?.type === 'CNAME' ? dnsName(alias.data) : null
    if (!alias || next === null) break
    chain.push({ ...alias, name: owner, data: next } as Answer)
    owner = next
  }
  const found = records.filter((record) => record.type === type && ownerOf(record) === owner && isWritable(record))
  const all = [...chain, ...found.map((record) => ({ ...record, name: owner }))].slice(0, RECORDS_MOST)
  const ttl = Math.min(TTL_MOST, ...all.map(ttlOf))
  return all.map((record) => ({ ...record, ttl: Math.max(ttl, TTL_LEAST) }))
}

/** The same records with another TTL, seconds, no less than what a guest can do with. */
export function withTtl(records: readonly Answer[], seconds: number): Answer[] {
  return records.map((record) => ({ ...record, ttl: Math.max(seconds, TTL_LEAST) }))
}

/** Seconds for which a record holds. */
export function ttlOf(record: Answer): number {
  return record.type === 'OPT' ? 0 : (record.ttl ?? 0)
}

function ownerOf(record: Answer): string | null {
  return dnsName(record.name)
}

/** Whether the names within a record are such that writing them gives what was read. */
function isWritable(record: Answer): boolean {
  switch (record.type) {
    case 'NS':
    case 'PTR':
    case 'CNAME':
      return isPlain(record.data)
    case 'MX':
      return isPlain(record.data.exchange)
    case 'SRV':
      return isPlain(record.data.target)
    case 'SOA':
      return isPlain(record.data.mname) && isPlain(record.data.rname)
    default:
      return true
  }
}

function isPlain(name: string): boolean {
  return name === '.' || name.split('.').every((label) => /^[!-~]{1,63}$/.test(label))
}
