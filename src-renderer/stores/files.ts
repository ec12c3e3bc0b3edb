import { defineStore } from 'pinia'
import { ref, shallowRef, type Ref, type ShallowRef } from 'vue'
import type { FileDenialView, FilesView } from '../../src-main/contract'
import { useApp } from './app'
import { mergeDenials } from './network'

export type Meters = Pick<FilesView, 'devices' | 'group'>

interface DomainFiles {
  /** What its devices move now; null until main has told it. */
  meters: ShallowRef<Meters | null>
  /** Newest first. */
  denials: ShallowRef<FileDenialView[]>
  /** Counts what has changed of its shares, and of its registry. */
  files: Ref<number>
  registry: Ref<number>
}

/** What main tells of shares, of the registry and of keys as it happens. */
export const useFileEvents = defineStore('files', () => {
  const app = useApp()
  const byDomain = new Map<string, DomainFiles>()
  /** Counts changes of how keys are guarded, and of base hives. */
  const keys = ref(0)
  const hives = ref(0)

  app.on('files', ({ id, meters, denials, changed }) => {
    if (changed === 'keys') keys.value += 1
    if (id === '') {
      if (changed === 'registry') hives.value += 1
      if (changed === 'files') for (const kept of byDomain.values()) kept.files.value += 1
      return
    }
    const kept = of(id)
    if (meters) kept.meters.value = meters
    if (denials.length > 0) kept.denials.value = mergeDenials(kept.denials.value, denials)
    if (changed === 'files' || changed === 'registry') kept[changed].value += 1
  })

  app.on('domains', ({ removed }) => {
    for (const id of removed) byDomain.delete(id)
  })

  app.onConnected(async () => {
    // what was missed while not connected is read again where it is looked at
    for (const { meters, denials } of byDomain.values()) [meters.value, denials.value] = [null, []]
  })

  function of(id: string): DomainFiles {
    let kept = byDomain.get(id)
    if (!kept) {
      kept = { meters: shallowRef(null), denials: shallowRef([]), files: ref(0), registry: ref(0) }
      byDomain.set(id, kept)
    }
    return kept
  }

  async function readDenials(id: string): Promise<void> {
    const read = await app.call('files.denials', { id })
    const { denials } = of(id)
    // what came as an event meanwhile is newer
    denials.value = mergeDenials(read, denials.value)
  }

  return { keys, hives, of, readDenials }
})
