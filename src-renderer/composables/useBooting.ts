import { computed, type ComputedRef } from 'vue'
import type { DomainView } from '../../src-main/contract'
import { useNow } from './useNow'

/** How long a guest may be silent after its start before it no longer counts as booting. */
const BOOT_MS = 90_000

/** Whether the guest is on its way up: it runs, and its agent has not answered yet. */
export function useBooting(domain: () => DomainView): ComputedRef<boolean> {
  const now = useNow(5000)
  return computed(() => {
    const { state, agent, startedAt } = domain()
    return state === 'running' && agent === 'waiting' && startedAt !== null && now.value - startedAt < BOOT_MS
  })
}
