import { FitAddon } from '@xterm/addon-fit'
import { SearchAddon } from '@xterm/addon-search'
import { WebLinksAddon } from '@xterm/addon-web-links'
import { Terminal } from '@xterm/xterm'
import { shallowRef } from 'vue'
import type { FailureView } from '../../src-main/contract'
import { failureOf } from '../failure'
import type { useApp } from '../stores/app'
import { createInput } from './console-input'
import { createPull } from './console-pull'
import { createReplay } from './console-replay'
import { searchColours } from './console-theme'
import type { Shade } from './useTheme'

const SCROLLBACK_LINES = 10_000
/** How long one read waits for output, milliseconds. */
const READ_WAIT_MS = 15_000
const READ_BYTES = 64 * 1024
const RESIZE_PAUSE_MS = 250

/** Sequences by which a guest could reach outside its screen: window titles, and the clipboard (52). */
const IGNORED_OSC = [0, 1, 2, 52]

const encoder = new TextEncoder()

/** A terminal on one domain's console. It outlives the tab, so that scrollback is there when the tab reopens. */
export function createConsoleSession(id: string, call: ReturnType<typeof useApp>['call']) {
  const trouble = shallowRef<FailureView | null>(null)
  /** Whether nothing was shown yet. */
  const blank = shallowRef(true)
  /** A link in the output that was clicked. */
  const link = shallowRef('')
  const element = document.createElement('div')
  element.className = 'terminal-host'

  const terminal = new Terminal({
    allowProposedApi: true,
    cursorBlink: false,
    convertEol: false,
    fontFamily: "'JetBrains Mono', ui-monospace, monospace",
    minimumContrastRatio: 4.5,
    rescaleOverlappingGlyphs: true,
    scrollback: SCROLLBACK_LINES,
    linkHandler: { activate: (_event, uri) => offerLink(uri) },
  })
  const fitter = new FitAddon()
  const search = new SearchAddon()
  terminal.loadAddon(fitter)
  terminal.loadAddon(search)
  terminal.loadAddon(new WebLinksAddon((_event, uri) => offerLink(uri)))
  for (const code of IGNORED_OSC) terminal.parser.registerOscHandler(code, () => true)

  const replay = createReplay(terminal)
  function show(data: Uint8Array | string): Promise<void> {
    blank.value = false
    return new Promise((shown) => terminal.write(data, shown))
  }

  /** A dim line of Vivarium's own. Colours that the guest left behind must not carry into it. */
  function remark(text: string): Promise<void> {
    const { cursorX } = terminal.buffer.active
    return show(`\x1b[0m${cursorX > 0 ? '\r\n' : ''}\x1b[2m… ${text} …\x1b[0m\r\n`)
  }

  const pull = createPull({
    read: (offset, wait) => call('console.read', { id, offset, maxBytes: READ_BYTES, waitMs: wait ? READ_WAIT_MS : 0 }),
    show,
    replay: (bytes) => replay(() => show(bytes)),
    remark,
    trouble: (thrown) => (trouble.value = thrown === null ? null : failureOf(thrown)),
    sleep: (milliseconds) => new Promise((over) => setTimeout(over, milliseconds)),
  })
  const input = createInput(
    (bytes) => call('console.write', { id, bytes }),
    (thrown) => (trouble.value = failureOf(thrown)),
  )

  terminal.onData((data) => input.send(encoder.encode(data)))
  terminal.onBinary((data) => input.send(Uint8Array.from(data, (letter) => letter.charCodeAt(0))))

  let resizeTimer: ReturnType<typeof setTimeout> | undefined
  terminal.onResize(tellSize)

  /** Tells the guest the terminal's size; where it has no agent to take it, nothing is lost. */
  function tellSize(): void {
    clearTimeout(resizeTimer)
    const { cols: columns, rows } = terminal
    resizeTimer = setTimeout(() => void call('console.resize', { id, columns, rows }).catch(() => {}), RESIZE_PAUSE_MS)
  }

  function offerLink(uri: string): void {
    if (/^https?:\/\//i.test(uri)) link.value = uri
  }

  function fit(): void {
    if (element.clientWidth > 40 && element.clientHeight > 20) fitter.fit()
  }

  function attach(host: HTMLElement): void {
    host.append(element)
    if (!terminal.element) terminal.open(element)
    fit()
    pull.start()
  }

  function detach(): void {
    pull.stop()
    element.remove()
  }

  /** Marks that a run has begun, and tells the new guest the size of the terminal. */
  function begun(text: string): void {
    if (!element.isConnected) return
    if (pull.offset > 0) void remark(text)
    tellSize()
  }

  function find(text: string, direction: 'next' | 'previous', shade: Shade): boolean {
    const options = { decorations: searchColours(shade), incremental: false }
    return direction === 'next' ? search.findNext(text, options) : search.findPrevious(text, options)
  }

  function dispose(): void {
    detach()
    clearTimeout(resizeTimer)
    terminal.dispose()
  }

  return {
    terminal,
    trouble,
    blank,
    link,
    element,
    attach,
    detach,
    fit,
    begun,
    find,
    stopFinding: () => search.clearDecorations(),
    dispose,
  }
}

export type ConsoleSession = ReturnType<typeof createConsoleSession>
