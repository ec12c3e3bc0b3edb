import { ref, shallowRef, watch, type ShallowRef } from 'vue'
import type { FailureView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useVisible } from './useVisible'

/** What a call last answered, and why it could not be asked last. */
export interface Reading<T> {
  value: ShallowRef<T | null>
  failure: ShallowRef<FailureView | null>
  refresh(): Promise<void>
  /** Puts an answer of another call in place; one that is under way is older. */
  put(value: T): void
}

/**
 * Asks now, whenever `reason` tells another value, and when the connection is back. While the page is hidden nothing is
 * asked; what was missed is made up for when it is seen again.
 */
export function useReading<T>(ask: () => Promise<T>, reason: () => unknown): Reading<T> {
  const app = useApp()
  const visible = useVisible()
  const value: ShallowRef<T | null> = shallowRef(null)
  const failure = shallowRef<FailureView | null>(null)
  const missed = ref(false)
  let asked = 0

  async function refresh(): Promise<void> {
    const number = ++asked
    try {
      const answer = await ask()
      if (number !== asked) return
      value.value = answer
      failure.value = null
    } catch (thrown) {
      if (number === asked) failure.value = failureOf(thrown)
    }
  }

  function put(answer: T): void {
    asked += 1
    value.value = answer
    failure.value = null
  }

  watch(
    () => [reason(), app.status.phase],
    () => {
      if (app.status.phase !== 'open') return
      if (visible.value) void refresh()
      else missed.value = true
    },
    { immediate: true },
  )
  watch(visible, (seen) => {
    if (!seen || !missed.value) return
    missed.value = false
    void refresh()
  })

  return { value, failure, refresh, put }
}
