import { onScopeDispose, ref, type Ref } from 'vue'

/** The time, told anew every `everyMs`. */
export function useNow(everyMs = 1000): Ref<number> {
  const now = ref(Date.now())
  const timer = setInterval(() => (now.value = Date.now()), everyMs)
  onScopeDispose(() => clearInterval(timer))
  return now
}
