import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import type { SnapshotView } from '../../src-main/contract'
import { useApp } from './app'

/** The snapshots of each domain that was looked at, read again whenever something may have changed them. */
export const useSnapshots = defineStore('snapshots', () => {
  const app = useApp()
  const byDomain = shallowReactive(new Map<string, SnapshotView[]>())
  const counts = new Map<string, number>()

  app.on('domains', ({ changed, removed }) => {
    for (const id of removed) byDomain.delete(id)
    for (const { id, snapshotCount } of changed) {
      if (byDomain.has(id) && counts.get(id) !== snapshotCount) void refresh(id)
      counts.set(id, snapshotCount)
    }
  })
  app.on('tasks', ({ changed }) => {
    for (const { domainId, state } of changed) {
      if (domainId && state !== 'running' && byDomain.has(domainId)) void refresh(domainId)
    }
  })

  async function read(id: string): Promise<void> {
    byDomain.set(id, await app.call('snapshots.list', { id }))
  }

  /** Like `read`, for a list that is already shown: what cannot be read now stays as it was. */
  async function refresh(id: string): Promise<void> {
    await read(id).catch(() => {})
  }

  return { byDomain, read, refresh }
})
