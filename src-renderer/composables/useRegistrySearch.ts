import { computed, reactive, ref, shallowRef, watch } from 'vue'
import type { FailureView, RegistryHitView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'

const HITS_AT_ONCE = 100

/** Looks through keys, names and data; hits come in pages. */
export function useRegistrySearch(id: () => string) {
  const app = useApp()
  const question = reactive({ text: '', under: '', keys: true, names: true, data: true })
  const hits = shallowRef<readonly RegistryHitView[] | null>(null)
  /** Index of the hit that was gone to last; -1 for none. */
  const at = ref(-1)
  const next = ref('')
  const busy = ref(false)
  const failure = shallowRef<FailureView | null>(null)
  let asked = 0

  const reason = computed(() => {
    if (question.text === '') return 'Say what to look for.'
    return question.keys || question.names || question.data ? '' : 'Choose where to look.'
  })
  /** What was found is about another question now. */
  watch([() => ({ ...question }), id], forget, { flush: 'sync' })

  function forget(): void {
    asked += 1
    hits.value = null
    failure.value = null
    next.value = ''
    busy.value = false
    at.value = -1
  }

  async function search(): Promise<void> {
    forget()
    await read()
  }

  async function read(): Promise<void> {
    if (reason.value) return
    const number = ++asked
    busy.value = true
    try {
      const told = await app.call('registry.search', {
        id: id(),
        ...question,
        after: next.value,
        limit: HITS_AT_ONCE,
      })
      if (number !== asked) return
      hits.value = [...(hits.value ?? []), ...told.hits]
      next.value = told.next
      failure.value = null
    } catch (thrown) {
      if (number === asked) failure.value = failureOf(thrown)
    }
    if (number === asked) busy.value = false
  }

  /** The hit after the last one, around the end; searches first where that was not done. Null when there is none. */
  async function step(): Promise<RegistryHitView | null> {
    if (!hits.value) await read()
    else if (at.value === hits.value.length - 1 && next.value) await read()
    const found = hits.value ?? []
    if (found.length === 0) return null
    at.value = (at.value + 1) % found.length
    return found[at.value] ?? null
  }

  return { question, hits, at, next, busy, failure, reason, search, more: read, step }
}
