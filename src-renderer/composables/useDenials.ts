import { computed, watch } from 'vue'
import { useApp } from '../stores/app'
import { useFileEvents } from '../stores/files'
import { useNetworkEvents } from '../stores/network'
import { denialRows } from './denial-rows'

/** What the policy of a domain has denied, newest first: read once, then told as it happens. */
export function useDenials(id: () => string) {
  const app = useApp()
  const network = useNetworkEvents()
  const files = useFileEvents()
  const rows = computed(() => denialRows(network.of(id()).denials.value, files.of(id()).denials.value))

  watch(
    () => [id(), app.status.phase],
    () => {
      if (app.status.phase !== 'open') return
      // what cannot be read now still comes as it happens
      void network.readDenials(id()).catch(() => {})
      void files.readDenials(id()).catch(() => {})
    },
    { immediate: true },
  )
  return rows
}
