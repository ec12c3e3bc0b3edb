import { onBeforeUnmount, onMounted, ref, watch, type Ref } from 'vue'
import { copyText, recall, remember } from '../bridge'
import { useConsoles } from '../stores/consoles'
import { useNotices } from '../stores/notices'
import { useSettings } from '../stores/settings'
import { consoleTheme } from './console-theme'
import { useShade } from './useTheme'

export interface ConsoleHooks {
  /** The way out: moves the focus back to the page. */
  leave(): void
  openSearch(): void
  /** Asks before text of several lines goes to the guest. */
  confirmPaste(text: string): Promise<boolean>
}

export const FONT_SIZES = { least: 8, most: 32 } as const

/** The console of the domain `id`, shown inside `host` for as long as the component lives. */
export function useConsole(id: string, host: Ref<HTMLElement | null>, hooks: ConsoleHooks) {
  const session = useConsoles().open(id)
  const settings = useSettings()
  const notices = useNotices()
  const shade = useShade()
  const { terminal } = session
  const selected = ref(terminal.hasSelection())
  const readAloud = ref(recall('readAloud', false))
  const focused = ref(false)

  const selection = terminal.onSelectionChange(() => (selected.value = terminal.hasSelection()))

  watch(shade, (next) => (terminal.options.theme = consoleTheme(next)), { immediate: true })
  watch(
    () => settings.value.consoleFontSize,
    (size) => {
      terminal.options.fontSize = size
      session.fit()
    },
    { immediate: true },
  )
  watch(
    readAloud,
    (on) => {
      terminal.options.screenReaderMode = on
      remember('readAloud', on)
    },
    { immediate: true },
  )

  /** Keys that are Vivarium's own, with Ctrl+Shift; all others go to the guest. */
  const OWN_KEYS: Record<string, (event: KeyboardEvent) => void> = {
    Escape: (event) => {
      event.preventDefault()
      hooks.leave()
    },
    KeyF: (event) => {
      event.preventDefault()
      hooks.openSearch()
    },
    KeyC: (event) => {
      event.preventDefault()
      void copy()
    },
    // the browser's own paste follows, and is caught below
    KeyV: () => {},
  }

  terminal.attachCustomKeyEventHandler((event) => {
    if (!event.ctrlKey || !event.shiftKey || event.altKey) return true
    const act = OWN_KEYS[event.code]
    if (!act) return true
    if (event.type === 'keydown') act(event)
    return false
  })

  async function copy(): Promise<void> {
    const text = terminal.getSelection()
    if (!text) return
    if (await copyText(text)) notices.tell('Copied.')
    else notices.tell('The host did not let Vivarium use the clipboard.', [], 'info')
    terminal.focus()
  }

  async function paste(text: string): Promise<void> {
    if (!text) return
    if (/[\r\n]/.test(text.trimEnd()) && !(await hooks.confirmPaste(text))) return
    terminal.paste(text)
    terminal.focus()
  }

  function pasted(event: ClipboardEvent): void {
    event.preventDefault()
    event.stopPropagation()
    void paste(event.clipboardData?.getData('text/plain') ?? '')
  }

  function setFontSize(size: number): void {
    const next = Math.min(FONT_SIZES.most, Math.max(FONT_SIZES.least, size))
    if (next !== settings.value.consoleFontSize) void settings.update({ consoleFontSize: next })
  }

  const resized = new ResizeObserver(() => session.fit())
  const gained = (): boolean => (focused.value = true)
  const lost = (): boolean => (focused.value = false)

  onMounted(() => {
    if (!host.value) return
    session.attach(host.value)
    resized.observe(host.value)
    session.element.addEventListener('paste', pasted, { capture: true })
    session.element.addEventListener('focusin', gained)
    session.element.addEventListener('focusout', lost)
  })
  onBeforeUnmount(() => {
    resized.disconnect()
    selection.dispose()
    session.element.removeEventListener('paste', pasted, { capture: true })
    session.element.removeEventListener('focusin', gained)
    session.element.removeEventListener('focusout', lost)
    session.detach()
  })

  return { session, selected, focused, readAloud, copy, paste, setFontSize, focus: () => terminal.focus() }
}
