import { computed, onMounted, watch } from 'vue'
import { useApp } from '../stores/app'
import { useLoadHistory } from '../stores/load'

/** The load of a domain over the last ten minutes, read whole once and again after a lost connection. */
export function useLoad(id: string) {
  const app = useApp()
  const load = useLoadHistory()
  const history = load.of(id)
  // a failure here costs only the older part of the charts
  const read = (): void => void load.read(id).catch(() => {})

  onMounted(read)
  watch(
    () => app.status.phase,
    (phase) => phase === 'open' && read(),
  )

  return { history, last: computed(() => history.value.at(-1)) }
}
