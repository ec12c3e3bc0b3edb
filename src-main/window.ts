import { BrowserWindow, nativeTheme, screen, session } from 'electron'
import { UI_ORIGIN } from './app-protocol'
import { PRELOAD_ENTRY } from './built-files'
import { readPlace, writePlace } from './window-place'

/** The page's own background (--frame in tokens.css), so that no white flashes before it is painted. */
const BACKGROUND = { light: '#eceeeb', dark: '#0d1110' }
/** All else is refused. Copying from and pasting into a console needs these, and a guest's screen its full size. */
const PERMISSIONS = new Set(['clipboard-read', 'clipboard-sanitized-write', 'fullscreen'])

/** Opens the one window. `placeFile` remembers where it was. */
export function openWindow(placeFile: string): BrowserWindow {
  const displays = screen.getAllDisplays().map((display) => display.workArea)
  const { maximized = false, ...place } = readPlace(placeFile, displays) ?? {}
  const window = new BrowserWindow({
    width: 1180,
    height: 780,
    ...place,
    minWidth: 640,
    minHeight: 480,
    title: 'Vivarium',
    show: false,
    autoHideMenuBar: true,
    backgroundColor: nativeTheme.shouldUseDarkColors ? BACKGROUND.dark : BACKGROUND.light,
    webPreferences: {
      preload: PRELOAD_ENTRY,
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      webviewTag: false,
      spellcheck: false,
      navigateOnDragDrop: false,
    },
  })
  if (maximized) window.maximize()
  lock(window)
  rememberPlace(window, placeFile)
  window.once('ready-to-show', () => window.show())
  void window.loadURL(`${UI_ORIGIN}/`)
  return window
}

export function bringToFront(window: BrowserWindow): void {
  if (window.isMinimized()) window.restore()
  window.show()
  window.focus()
}

/** The page stays the page: no other windows, no navigation, no frames of others, no permissions. */
function lock(window: BrowserWindow): void {
  const { webContents } = window
  webContents.setWindowOpenHandler(() => ({ action: 'deny' }))
  webContents.on('will-attach-webview', (event) => event.preventDefault())
  webContents.on('will-navigate', (event) => event.preventDefault())
  webContents.on('will-redirect', (event) => event.preventDefault())
  // the page sets no title of its own
  window.on('page-title-updated', (event) => event.preventDefault())
  const allowed = (asking: unknown, permission: string): boolean =>
    asking === webContents && PERMISSIONS.has(permission)
  const ours = session.defaultSession
  ours.setPermissionRequestHandler((asking, permission, answer) => answer(allowed(asking, permission)))
  ours.setPermissionCheckHandler(allowed)
  ours.setDevicePermissionHandler(() => false)
}

function rememberPlace(window: BrowserWindow, placeFile: string): void {
  const remember = (): void => writePlace(placeFile, { ...window.getNormalBounds(), maximized: window.isMaximized() })
  let soon: NodeJS.Timeout | undefined
  const rememberSoon = (): void => {
    clearTimeout(soon)
    soon = setTimeout(() => {
      if (!window.isDestroyed()) remember()
    }, 500)
  }
  window.on('resize', rememberSoon)
  window.on('move', rememberSoon)
  window.on('close', remember)
}
