import { type BrowserWindow, ipcMain, type IpcMainEvent } from 'electron'
import { UI_ORIGIN } from './app-protocol'
import { serveClient } from './serve-client'
import type { Services } from './services/services'

/**
 * Serves the contract to the page of `window`. Each document is one client: a reload ends the client before it.
 * Nothing is sent to a page that has not called first, so nothing is lost before it listens.
 */
export function servePage(services: Services, window: BrowserWindow): void {
  const { webContents } = window
  let receive: ((message: unknown) => void) | null = null
  let gone: (() => void) | null = null

  ipcMain.on('contract', (event, message: unknown) => {
    if (!isOurPage(event)) return
    gone ??= begin()
    receive?.(message)
  })
  webContents.on('did-start-navigation', (details) => {
    if (details.isMainFrame && !details.isSameDocument) end()
  })
  webContents.on('render-process-gone', (_event, { reason }) => {
    end()
    if (reason === 'clean-exit') return
    // not from within the event: the dead process is still being taken down
    setTimeout(() => {
      if (!webContents.isDestroyed()) webContents.reload()
    })
  })
  webContents.on('destroyed', end)

  function begin(): () => void {
    return serveClient(services, {
      post: (message) => {
        if (!webContents.isDestroyed()) webContents.send('contract', message)
      },
      onMessage: (listener) => {
        receive = listener
      },
      // the system's pipe to the page is not ours to measure
      unsent: () => 0,
      drop: end,
    })
  }

  function end(): void {
    gone?.()
    gone = null
    receive = null
  }

  function isOurPage(event: IpcMainEvent): boolean {
    if (event.sender !== webContents || event.senderFrame !== webContents.mainFrame) return false
    return event.senderFrame.url.startsWith(`${UI_ORIGIN}/`)
  }
}
