import { defineStore } from 'pinia'
import { ref, shallowRef, type Ref, type ShallowRef } from 'vue'
import type { DenialView, NetworkSampleView } from '../../src-main/contract'
import { useApp } from './app'
import { useDomains } from './domains'

/** Samples kept for each domain: ten minutes, one a second. */
const KEPT_SAMPLES = 600
export const KEPT_DENIALS = 200

interface DomainNetwork {
  /** Oldest first. */
  samples: ShallowRef<NetworkSampleView[]>
  /** Newest first. */
  denials: ShallowRef<DenialView[]>
  /** Counts what has changed beside throughput and denials. */
  changes: Ref<number>
}

/** What main tells of networks as it happens: throughput, denials, and that something should be asked for anew. */
export const useNetworkEvents = defineStore('network', () => {
  const app = useApp()
  const domains = useDomains()
  const byDomain = new Map<string, DomainNetwork>()
  /** Counts changes of any domain, and of networks, mirrors and captures. */
  const changes = ref(0)

  app.on('network', ({ id, sample, denials, changed }) => {
    if (changed) changes.value += 1
    if (id === '') {
      if (changed) for (const kept of byDomain.values()) kept.changes.value += 1
      return
    }
    const kept = of(id)
    // a new array each time: who is handed it must see that it changed
    if (sample) kept.samples.value = [...kept.samples.value.slice(1 - KEPT_SAMPLES), sample]
    if (denials.length > 0) kept.denials.value = mergeDenials(kept.denials.value, denials)
    if (changed) kept.changes.value += 1
  })

  app.on('domains', ({ removed }) => {
    for (const id of removed) byDomain.delete(id)
  })

  app.onConnected(async () => {
    // what was missed while not connected is read again where it is looked at
    for (const { samples, denials } of byDomain.values()) [samples.value, denials.value] = [[], []]
  })

  function of(id: string): DomainNetwork {
    let kept = byDomain.get(id)
    if (!kept) byDomain.set(id, (kept = { samples: shallowRef([]), denials: shallowRef([]), changes: ref(0) }))
    return kept
  }

  async function readSamples(id: string): Promise<void> {
    if (!domains.get(id)) return
    const read = await app.call('network.load', { id })
    const { samples } = of(id)
    const last = read.at(-1)?.at ?? 0
    samples.value = [...read, ...samples.value.filter(({ at }) => at > last)].slice(-KEPT_SAMPLES)
  }

  async function readDenials(id: string): Promise<void> {
    const read = await app.call('network.denials', { id })
    const { denials } = of(id)
    // what came as an event meanwhile is newer
    denials.value = mergeDenials(read, denials.value)
  }

  return { changes, of, readSamples, readDenials }
})

/** The denials of both lists, newest first; of one that happened again, what `news` says. */
export function mergeDenials<Denial extends { seq: number; at: number }>(
  known: readonly Denial[],
  news: readonly Denial[],
): Denial[] {
  const bySeq = new Map([...known, ...news].map((denial) => [denial.seq, denial]))
  return [...bySeq.values()].sort((a, b) => b.at - a.at || b.seq - a.seq).slice(0, KEPT_DENIALS)
}
