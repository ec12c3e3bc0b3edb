import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import type { FailureView } from '../../src-main/contract'
import { failureOf } from '../failure'

export interface NoticeAction {
  label: string
  run(): void
}

export interface Notice {
  id: number
  tone: 'info' | 'done' | 'failed'
  /** What this is about, such as 'Starting web-1'. */
  title: string
  failure: FailureView | null
  actions: NoticeAction[]
  /** How long it stays without being looked at, milliseconds; null until it is dismissed. */
  lastsMs: number | null
}

const SHOWN_AT_ONCE = 4

/** What the person is told in passing: notices in the corner, and words for screen readers. Every failure ends here. */
export const useNotices = defineStore('notices', () => {
  const list = shallowRef<Notice[]>([])
  /** Text of the polite live region. */
  const spoken = ref('')
  let lastId = 0

  function show(notice: Omit<Notice, 'id'>): number {
    lastId += 1
    list.value = [...list.value, { ...notice, id: lastId }].slice(-SHOWN_AT_ONCE)
    return lastId
  }

  function tell(title: string, actions: NoticeAction[] = [], tone: 'info' | 'done' = 'done'): number {
    return show({ tone, title, failure: null, actions, lastsMs: actions.length > 0 ? 10_000 : 5000 })
  }

  function fail(what: string, failure: FailureView, actions: NoticeAction[] = []): number {
    return show({ tone: 'failed', title: what, failure, actions, lastsMs: null })
  }

  function dismiss(id: number): void {
    list.value = list.value.filter((notice) => notice.id !== id)
  }

  /** Says `text` to screen readers; nothing is shown. */
  function say(text: string): void {
    spoken.value = text
  }

  /** Does `work`; a failure is shown with a way to try again, and the answer is then undefined. */
  async function attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (thrown) {
      const retry = { label: 'Try again', run: () => void attempt(what, work) }
      const failure = failureOf(thrown)
      fail(what, failure, failure.kind === 'invalid' || failure.kind === 'not-found' ? [] : [retry])
      return undefined
    }
  }

  return { list, spoken, show, tell, fail, dismiss, say, attempt }
})
