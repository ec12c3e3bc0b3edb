import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import type { LogEntryView } from '../../src-main/contract'
import { useApp } from './app'

const PAGE = 200
/** Most entries kept in the window for one domain; older ones are read again when asked for. */
const KEPT_ENTRIES = 5000

export interface DomainLog {
  /** Oldest first. */
  entries: LogEntryView[]
  /** Whether the oldest entry is the first that there is. */
  complete: boolean
}

/** The log of each domain that was looked at. */
export const useLog = defineStore('log', () => {
  const app = useApp()
  const byDomain = shallowReactive(new Map<string, DomainLog>())

  app.on('log', ({ entry }) => {
    const log = entry.domainId === null ? undefined : byDomain.get(entry.domainId)
    if (!log || (log.entries.at(-1)?.seq ?? -1) >= entry.seq) return
    const cut = log.entries.length >= KEPT_ENTRIES
    byDomain.set(entry.domainId ?? '', {
      entries: [...(cut ? log.entries.slice(PAGE) : log.entries), entry],
      complete: log.complete && !cut,
    })
  })
  app.on('domains', ({ removed }) => removed.forEach((id) => byDomain.delete(id)))

  async function read(domainId: string): Promise<void> {
    const entries = await app.call('log.read', { domainId, limit: PAGE })
    byDomain.set(domainId, { entries, complete: entries.length < PAGE })
  }

  async function readOlder(domainId: string): Promise<void> {
    const log = byDomain.get(domainId)
    const first = log?.entries[0]
    if (!log || !first) return
    const older = await app.call('log.read', { domainId, before: first.seq, limit: PAGE })
    const now = byDomain.get(domainId) ?? log
    byDomain.set(domainId, { entries: [...older, ...now.entries], complete: older.length < PAGE })
  }

  return { byDomain, read, readOlder }
})
