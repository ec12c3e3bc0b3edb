import { onScopeDispose, ref, watch, type Ref } from 'vue'

/** Whether the page can be seen: not in a hidden tab or a minimised window. */
export function useVisible(): Readonly<Ref<boolean>> {
  const visible = ref(!document.hidden)
  const changed = (): void => void (visible.value = !document.hidden)
  document.addEventListener('visibilitychange', changed)
  onScopeDispose(() => document.removeEventListener('visibilitychange', changed))
  return visible
}

/**
 * Does `work` and does it again `everyMs` after it was done, while the page can be seen and `wanted` holds: `now` at
 * first, or `later`, where somebody else has just done it.
 */
export function usePolling(
  work: () => Promise<unknown>,
  everyMs: number,
  wanted: () => boolean,
  begin: 'now' | 'later' = 'now',
): void {
  const visible = useVisible()
  let timer: ReturnType<typeof setTimeout> | undefined
  /** Tells a round from those that were begun before the last pause. */
  let current = 0

  async function round(number: number): Promise<void> {
    await work().catch(() => undefined)
    if (number === current) wait(number)
  }

  function wait(number: number): void {
    timer = setTimeout(() => void round(number), everyMs)
  }

  function stop(): void {
    clearTimeout(timer)
    current += 1
  }

  watch(
    () => visible.value && wanted(),
    (active) => {
      stop()
      if (active && begin === 'now') void round(current)
      else if (active) wait(current)
    },
    { immediate: true },
  )
  onScopeDispose(stop)
}
