import { defineStore } from 'pinia'
import { shallowRef, type ShallowRef } from 'vue'
import type { LoadView } from '../../src-main/contract'
import { useApp } from './app'
import { useDomains } from './domains'

/** Samples kept for each domain: ten minutes, one a second. */
export const KEPT_SAMPLES = 600

/** The load of each domain over the last ten minutes, oldest first. */
export const useLoadHistory = defineStore('load', () => {
  const app = useApp()
  const domains = useDomains()
  const histories = new Map<string, ShallowRef<LoadView[]>>()

  app.on('load', ({ id, sample }) => {
    const history = of(id)
    // a new array each time: rows that are handed it must see that it changed
    history.value = [...history.value.slice(1 - KEPT_SAMPLES), sample]
  })

  app.on('domains', ({ removed }) => {
    for (const id of removed) histories.delete(id)
  })

  app.onConnected(async () => {
    // what was missed while not connected is read again where it is looked at
    histories.forEach((history) => (history.value = []))
  })

  function of(id: string): ShallowRef<LoadView[]> {
    let history = histories.get(id)
    if (!history) histories.set(id, (history = shallowRef([])))
    return history
  }

  /** Reads the whole history of a domain from main. */
  async function read(id: string): Promise<void> {
    if (!domains.get(id)) return
    const samples = await app.call('domains.load', { id })
    const history = of(id)
    const last = samples.at(-1)?.at ?? 0
    history.value = [...samples, ...history.value.filter((sample) => sample.at > last)].slice(-KEPT_SAMPLES)
  }

  return { of, read }
})
