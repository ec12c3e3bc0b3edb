import type { DomainState, DomainView } from '../../src-main/contract'
import type { Sort } from '../stores/sidebar'
import { stateWord } from '../state-words'

export interface GroupRow {
  kind: 'group'
  key: string
  name: string
  count: number
  live: number
  open: boolean
  /** Place among the rows of its level, from 1, and how many there are. */
  place: number
  of: number
}
export interface DomainRow {
  kind: 'domain'
  key: string
  domain: DomainView
  level: 1 | 2
  place: number
  of: number
}
export type ListRow = GroupRow | DomainRow

export interface Arrangement {
  query: string
  sort: Sort
  folded: ReadonlySet<string>
}

/** What asks for attention first. */
const STATE_ORDER: readonly DomainState[] = [
  'running',
  'starting',
  'stopping',
  'saving',
  'paused',
  'crashed',
  'damaged',
  'saved',
  'off',
]
const { compare } = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })

const byName = (a: DomainView, b: DomainView): number => compare(a.name, b.name) || compare(a.id, b.id)
const ORDERS: Record<Sort, (a: DomainView, b: DomainView) => number> = {
  name: byName,
  state: (a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state) || byName(a, b),
  created: (a, b) => b.createdAt - a.createdAt || byName(a, b),
}

/** Whether every word of `query` is in the domain's name, group, state or image. */
export function matches(domain: DomainView, query: string): boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return true
  const text = [domain.name, domain.group, stateWord(domain.state), domain.imageName].join('\n').toLowerCase()
  return words.every((word) => text.includes(word))
}

/** The rows of the list: domains without a group first, then each group. A search opens every group. */
export function arrangeDomains(domains: readonly DomainView[], { query, sort, folded }: Arrangement): ListRow[] {
  const found = domains.filter((domain) => matches(domain, query)).sort(ORDERS[sort])
  const groups = new Map<string, DomainView[]>()
  for (const domain of found) {
    const members = groups.get(domain.group)
    if (members) members.push(domain)
    else groups.set(domain.group, [domain])
  }
  const loose = groups.get('') ?? []
  groups.delete('')
  const headings = [...groups].sort(([a], [b]) => compare(a, b))
  const outer = loose.length + headings.length

  const rows: ListRow[] = domainRows(loose, 1, 0, outer)
  headings.forEach(([name, members], index) => {
    const open = query.trim() !== '' || !folded.has(name)
    const live = members.filter((domain) => domain.state === 'running').length
    const place = loose.length + index + 1
    rows.push({ kind: 'group', key: `group ${name}`, name, count: members.length, live, open, place, of: outer })
    if (open) rows.push(...domainRows(members, 2, 0, members.length))
  })
  return rows
}

/** The domain to look at when `id` goes away: the next one, else the one before. */
export function neighbour(rows: readonly ListRow[], id: string): string | null {
  const ids = rows.flatMap((row) => (row.kind === 'domain' ? [row.domain.id] : []))
  const at = ids.indexOf(id)
  return at < 0 ? null : (ids[at + 1] ?? ids[at - 1] ?? null)
}

function domainRows(domains: DomainView[], level: 1 | 2, before: number, of: number): DomainRow[] {
  return domains.map((domain, index) => ({
    kind: 'domain',
    key: domain.id,
    domain,
    level,
    place: before + index + 1,
    of,
  }))
}
