import { join } from 'node:path'
import { app, type BrowserWindow, dialog, Menu, shell } from 'electron'
import { toFailure } from '../vmm/model/errors'
import { declareAppProtocol, serveAppProtocol } from './app-protocol'
import { networkThread } from '../vmm/net/network'
import { FILES_ENTRY, GUEST_ENTRY, UI_FOLDER, NETWORK_ENTRY } from './built-files'
import { dataFolder } from './data-folder'
import { becomeMain } from './instance'
import { systemKeychain } from './keychain'
import { askToLeave, saveAll, unattended } from './leaving'
import { serveLocal } from './local-socket'
import { applicationMenu } from './menu'
import { servePage } from './page-link'
import { openServices } from './services'
import { socketAddress } from './socket-address'
import { followTheme } from './theme'
import { utilityGuests } from './utility-process'
import { bringToFront, openWindow } from './window'

const folder = dataFolder()

declareAppProtocol()
// Chromium's own files go with the rest
app.setPath('userData', join(folder, 'chromium'))

main().catch((error: unknown) => {
  const { message, hint, detail } = toFailure(error, 'start Vivarium')
  console.error([message, hint, detail].filter(Boolean).join('\n'))
  if (!unattended()) dialog.showErrorBox('Vivarium could not start', [message, hint].filter(Boolean).join('\n\n'))
  app.exit(1)
})

/** Builds storage, vmm, services and window, and closes them in reverse. */
async function main(): Promise<void> {
  const instance = await becomeMain(folder)
  if (!instance.first) return handedOver(instance.url)
  await app.whenReady()
  Menu.setApplicationMenu(applicationMenu())
  serveAppProtocol(UI_FOLDER)

  let window: BrowserWindow | null = null
  const services = await openServices({
    dataFolder: folder,
    spawnGuest: utilityGuests(GUEST_ENTRY),
    spawnNetwork: networkThread(NETWORK_ENTRY),
    spawnFiles: utilityGuests(FILES_ENTRY),
    keychain: systemKeychain(),
    shell: {
      kind: 'electron',
      show: () => {
        if (window) bringToFront(window)
        return ''
      },
    },
  })
  await followTheme(services)
  const stopListening = await serveLocal(services, socketAddress(folder))
  const opened = openWindow(join(folder, 'window.json'))
  window = opened
  servePage(services, opened)

  let closing = false
  const leave = async (asked: boolean): Promise<void> => {
    if (closing) return
    closing = true
    try {
      if (asked && (await leaveCancelled())) return
      opened.setTitle('Vivarium: closing')
      await stopListening()
      await services.close()
      await instance.release()
      app.exit(0)
    } catch (error) {
      tell(opened, error)
    } finally {
      closing = false
    }
  }

  /** Whether the person rather stays. */
  async function leaveCancelled(): Promise<boolean> {
    const choice = await askToLeave(services, opened)
    if (choice === 'save') await saveAll(services, opened)
    return choice === 'cancel'
  }

  opened.on('close', (event) => {
    event.preventDefault()
    void leave(true)
  })
  app.on('before-quit', (event) => {
    event.preventDefault()
    opened.close()
  })
  // the session ends or somebody asks from a shell: there is nobody to ask
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void leave(false))
}

/** Another main has the data folder and has been asked to show itself. */
async function handedOver(url: string): Promise<void> {
  const where = url ? `It is at ${url}` : 'Its window has been brought to the front.'
  console.log(`Vivarium is already running. ${where}`)
  // started from the desktop, nobody sees what is printed
  if (url && !unattended()) await shell.openExternal(url)
  app.exit(0)
}

function tell(window: BrowserWindow, error: unknown): void {
  const { message, hint, detail } = toFailure(error, 'close Vivarium')
  console.error([message, hint, detail].filter(Boolean).join('\n'))
  window.setTitle('Vivarium')
  if (!unattended()) void dialog.showMessageBox(window, { type: 'error', message, detail: hint })
}
