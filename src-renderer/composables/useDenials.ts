import { computed, watch } from 'vue'
import { useApp } from '../stores/app'
import { useNetworkEvents } from '../stores/network'

/** What the policy of a domain has denied, newest first: read once, then told as it happens. */
export function useDenials(id: () => string) {
  const app = useApp()
  const events = useNetworkEvents()
  const list = computed(() => events.of(id()).denials.value)

  watch(
    () => [id(), app.status.phase],
    // what cannot be read now still comes as it happens
    () => app.status.phase === 'open' && void events.readDenials(id()).catch(() => {}),
    { immediate: true },
  )
  return list
}
