import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import type { DomainView } from '../../src-main/contract'
import { stateWord } from '../state-words'
import { useApp } from './app'
import { useNotices } from './notices'

/** More changes than this at once are not read out one by one. */
const SPOKEN_AT_ONCE = 3

/** Every domain, as main last told it. */
export const useDomains = defineStore('domains', () => {
  const app = useApp()
  const notices = useNotices()
  const byId = shallowRef<ReadonlyMap<string, DomainView>>(new Map())
  const list = computed(() => [...byId.value.values()])
  const names = computed(() => new Set(list.value.map((domain) => domain.name)))
  const groups = computed(() => [...new Set(list.value.map((domain) => domain.group).filter(Boolean))].sort())

  app.onConnected(async () => {
    const domains = await app.call('domains.list', {})
    byId.value = new Map(domains.map((domain) => [domain.id, domain]))
  })

  app.on('domains', ({ changed, removed }) => {
    const next = new Map(byId.value)
    const moved = changed.filter((domain) => next.has(domain.id) && next.get(domain.id)?.state !== domain.state)
    for (const id of removed) next.delete(id)
    for (const domain of changed) next.set(domain.id, domain)
    byId.value = next
    if (moved.length <= SPOKEN_AT_ONCE) moved.forEach(announce)
  })

  function announce(domain: DomainView): void {
    notices.say(`${domain.name}: ${stateWord(domain.state)}`)
    if (domain.state !== 'crashed') return
    notices.fail(`${domain.name} crashed`, {
      kind: 'engine',
      message: domain.stateReason || 'Its machine ended without saying why.',
      hint: 'Its log has what came before. Its disks are kept; Start boots it again.',
      detail: `domain: ${domain.id}\nengine: ${domain.engine}`,
    })
  }

  /** Puts a view that a call returned in place, without waiting for its event. */
  function put(domain: DomainView): DomainView {
    byId.value = new Map(byId.value).set(domain.id, domain)
    return domain
  }

  /** Takes a domain out that a call has removed, without waiting for the event. */
  function drop(id: string): void {
    const next = new Map(byId.value)
    if (next.delete(id)) byId.value = next
  }

  function get(id: string): DomainView | undefined {
    return byId.value.get(id)
  }

  return { byId, list, names, groups, get, put, drop }
})
