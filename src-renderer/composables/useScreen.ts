import { computed, onBeforeUnmount, onMounted, ref, shallowRef, watch, type Ref } from 'vue'
import type { DomainView } from '../../src-main/contract'
import { recall, remember } from '../bridge'
import { useApp } from '../stores/app'
import { useNotices } from '../stores/notices'
import { createScreenSession } from './screen-session'
import { keysFor } from './screen-keys'

/** Keys that leave the screen; all others go to the guest. */
export const LEAVE_KEYS = 'Ctrl+Shift+Escape'
/** Most characters that are typed at once, and the pause after each, milliseconds: a PS/2 keyboard holds few keys. */
export const TYPE_LIMIT = 10_000
const STROKE_MS = 15
const STATES: readonly DomainView['state'][] = ['running', 'paused', 'stopping', 'saving']

/** The screen of a domain inside `host`, for as long as the component lives and the domain has one. */
export function useScreen(domain: () => DomainView, host: Ref<HTMLElement | null>, leave: () => void) {
  const app = useApp()
  const notices = useNotices()
  const session = createScreenSession(domain().id, app.call, () => host.value)
  const focused = ref(false)
  const fit = ref(recall('screenFit', true))
  /** Characters typed so far, and how many there are; null while nothing is typed. */
  const typing = shallowRef<{ done: number; of: number } | null>(null)
  const wanted = computed(() => domain().screen && STATES.includes(domain().state) && app.status.phase === 'open')
  /** Keys that are down, by code. */
  const down = new Map<string, string>()

  watch(fit, (next) => {
    remember('screenFit', next)
    session.setFit(next)
  })

  function pressed(event: KeyboardEvent): void {
    if (event.ctrlKey && event.shiftKey && event.code === 'Escape') {
      event.preventDefault()
      event.stopPropagation()
      if (event.type === 'keydown') leaveScreen()
    } else if (event.type === 'keydown') down.set(event.code, event.key)
    else down.delete(event.code)
  }

  function leaveScreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen()
    leave()
  }

  function gained(): void {
    focused.value = true
    notices.say(`Keys now go to the guest. ${LEAVE_KEYS} leaves the screen.`)
  }

  /** Keys that are still down would stay down in the guest: their release goes elsewhere. */
  function lost(): void {
    focused.value = false
    for (const [code, key] of [...down]) session.canvas()?.dispatchEvent(new KeyboardEvent('keyup', { code, key }))
    down.clear()
  }

  /** Types `text` as on a US keyboard; what has no key there is left out. */
  async function type(text: string): Promise<void> {
    const { strokes } = keysFor(text.slice(0, TYPE_LIMIT))
    let progress = { done: 0, of: strokes.length }
    typing.value = progress
    for (const keys of strokes) {
      if (typing.value !== progress) break
      session.press(keys)
      progress = { ...progress, done: progress.done + 1 }
      typing.value = progress
      await new Promise((over) => setTimeout(over, STROKE_MS))
    }
    if (typing.value === progress) typing.value = null
  }

  const visibility = (): void => session.setHidden(document.hidden)
  let mounted = false

  function follow(): void {
    if (!mounted) return
    if (wanted.value) session.start()
    else session.stop()
  }
  watch(wanted, follow)
  // what is typed into a lost link would be lost, and the rest would come without it
  watch(session.phase, () => (typing.value = null))

  onMounted(() => {
    mounted = true
    const element = host.value
    element?.addEventListener('keydown', pressed, { capture: true })
    element?.addEventListener('keyup', pressed, { capture: true })
    element?.addEventListener('focusin', gained)
    element?.addEventListener('focusout', lost)
    document.addEventListener('visibilitychange', visibility)
    visibility()
    session.setFit(fit.value)
    follow()
  })
  onBeforeUnmount(() => {
    mounted = false
    lost()
    typing.value = null
    document.removeEventListener('visibilitychange', visibility)
    session.stop()
  })

  return {
    session,
    focused,
    fit,
    typing,
    type,
    stopTyping: () => (typing.value = null),
    focus: () => session.canvas()?.focus(),
  }
}
