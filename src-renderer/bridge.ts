import { decodeMessage, encodeMessage, type Channel } from '../src-main/contract'

/** The only file that touches `window` and what hangs on it: the preload's bridge, address, storage, clipboard. */

/** What Electron's preload exposes. Messages cross by structured clone. */
interface Preload {
  shell: 'electron'
  post(message: unknown): void
  onMessage(receive: (message: unknown) => void): void
  /** Path on this host of a file that the person chose or dropped. */
  pathOf(file: File): string
}

declare global {
  interface Window {
    vivarium?: Preload
  }
}

const TOKEN_KEY = 'vivarium.token'
const TOKEN_PREFIX = '#token='

export const inElectron = (): boolean => window.vivarium !== undefined
export const onMac = (): boolean => navigator.platform.startsWith('Mac')

/** The channel to main in Electron; null in a browser. */
export function preloadChannel(): Channel | null {
  const preload = window.vivarium
  if (!preload) return null
  return {
    post: (message) => preload.post(cloneable(message)),
    onMessage: (receive) => preload.onMessage(receive),
  }
}

/** Vue's reactive proxies cannot be cloned: copies plain objects and arrays, keeps the rest. */
function cloneable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneable)
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, cloneable(part)]))
}

/** Path of `file` on this host, or null where only its content can be had. */
export function pathOf(file: File): string | null {
  return window.vivarium?.pathOf(file) || null
}

/**
 * The token that opens the contract in a browser. It comes in the address fragment, which is never sent to a
 * server; it is kept for this tab and taken out of the address bar, before the router reads the fragment.
 */
export function takeToken(): string {
  if (window.location.hash.startsWith(TOKEN_PREFIX)) {
    const token = decodeURIComponent(window.location.hash.slice(TOKEN_PREFIX.length))
    window.sessionStorage.setItem(TOKEN_KEY, token)
    window.history.replaceState(null, '', window.location.pathname + window.location.search)
  }
  return window.sessionStorage.getItem(TOKEN_KEY) ?? ''
}

/** Starts anew when a fresh address with a token is pasted into a tab that is already open. */
export function watchForNewToken(): void {
  window.addEventListener('hashchange', () => {
    if (window.location.hash.startsWith(TOKEN_PREFIX)) window.location.reload()
  })
}

/** A socket to this page's own origin; its first message is the token. */
export function openContractSocket(): WebSocket {
  const url = new URL('/contract', window.location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  url.hash = ''
  const socket = new WebSocket(url)
  socket.binaryType = 'arraybuffer'
  return socket
}

export function socketChannel(socket: WebSocket): Channel {
  return {
    post(message) {
      if (socket.readyState === WebSocket.OPEN) socket.send(encodeMessage(message).slice())
    },
    onMessage(receive) {
      socket.addEventListener('message', (event: MessageEvent<ArrayBuffer>) => {
        receive(decodeMessage(new Uint8Array(event.data)))
      })
    },
  }
}

/** Keeps a preference of this client alone, such as which groups are folded. */
export function remember(key: string, value: unknown): void {
  try {
    window.localStorage.setItem(`vivarium.${key}`, JSON.stringify(value))
  } catch {
    // storage may be refused or full: the preference then lasts as long as the window
  }
}

export function recall<T>(key: string, otherwise: T): T {
  try {
    const kept = window.localStorage.getItem(`vivarium.${key}`)
    return kept === null ? otherwise : (JSON.parse(kept) as T)
  } catch {
    return otherwise
  }
}

/** Calls `tell` now and whenever the desktop turns dark or light; returns the function that ends it. */
export function watchDark(tell: (dark: boolean) => void): () => void {
  const query = window.matchMedia('(prefers-color-scheme: dark)')
  const changed = (): void => tell(query.matches)
  query.addEventListener('change', changed)
  changed()
  return () => query.removeEventListener('change', changed)
}

/**
 * Lets a browser ask before this page goes away while `unsaved` holds; returns the function that ends it. Electron would
 * keep its window open without a word.
 */
export function askBeforeUnload(unsaved: () => boolean): () => void {
  const leaving = (event: BeforeUnloadEvent): void => {
    if (unsaved() && !inElectron()) event.preventDefault()
  }
  window.addEventListener('beforeunload', leaving)
  return () => window.removeEventListener('beforeunload', leaving)
}

/** Saves `content` where the person's downloads go. */
export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  // the download has its own hold on the content once it has begun
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
}

/** Puts `text` on the clipboard; false when the host refused. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyThroughSelection(text)
  }
}

/** Works without the clipboard permission, which the shells refuse. */
function copyThroughSelection(text: string): boolean {
  const focused = document.activeElement
  const area = document.createElement('textarea')
  area.value = text
  area.setAttribute('aria-hidden', 'true')
  area.style.position = 'fixed'
  area.style.opacity = '0'
  document.body.append(area)
  area.select()
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without the permission
  const done = document.execCommand('copy')
  area.remove()
  if (focused instanceof HTMLElement) focused.focus()
  return done
}

/** Text on the clipboard, or null when the host does not let a page read it. */
export async function clipboardText(): Promise<string | null> {
  try {
    return await navigator.clipboard.readText()
  } catch {
    return null
  }
}
