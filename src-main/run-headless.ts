import { forkGuests } from '../vmm/engine/guest-process'
import { VmmError } from '../vmm/model/errors'
import { networkThread } from '../vmm/net/network'
import { FILES_ENTRY, GUEST_ENTRY, NETWORK_ENTRY, UI_FOLDER } from './built-files'
import { dataFolder } from './data-folder'
import { becomeMain } from './instance'
import { serveLocal } from './local-socket'
import { serveBrowsers } from './server'
import { openServices } from './services'
import type { Services } from './services/services'
import { socketAddress } from './socket-address'

/** How long an on-demand main stays with no client, no task and no machine that would end with it. */
const LINGER_MS = 10_000
const IDLE_CHECK_MS = 500

export interface HeadlessOptions {
  /** TCP port for the browser; 0 lets the system choose. */
  port: number
  /** Started by the CLI for itself: prints no URL, and ends by itself when nothing is left to do. */
  onDemand: boolean
  /** Tells the person something; `url` is where the interface is, '' for nowhere. */
  tell?: (message: string, url: string) => void
  /** Opens the keys at once, where a passphrase guards them. */
  passphrase?: string
}

/** Vivarium without Electron, until a signal or, on demand, idleness ends it. */
export async function runHeadless({ port, onDemand, tell = print, passphrase }: HeadlessOptions): Promise<void> {
  const folder = dataFolder()
  const instance = await becomeMain(folder)
  if (!instance.first) {
    const where = instance.url ? `It is at ${instance.url}` : 'Its window has been brought to the front.'
    if (!onDemand) tell(`Vivarium is already running. ${where}`, instance.url)
    return
  }
  const signal = nextSignal()
  const closers = [instance.release]
  try {
    let url = ''
    const services = await openServices({
      dataFolder: folder,
      spawnGuest: forkGuests(GUEST_ENTRY),
      spawnNetwork: networkThread(NETWORK_ENTRY),
      spawnFiles: forkGuests(FILES_ENTRY),
      keychain: null,
      shell: { kind: onDemand ? 'headless' : 'browser', show: () => url },
    })
    closers.push(() => services.close())
    if (passphrase !== undefined) await unlock(services, passphrase)
    const browsers = await serveBrowsers({ services, uiFolder: UI_FOLDER, port })
    url = browsers.url
    closers.push(browsers.close)
    closers.push(await serveLocal(services, socketAddress(folder)))
    if (!onDemand) tell(`Vivarium is at ${url}\nOpen it in a browser on this machine. Ctrl+C ends it.`, url)
    const reason = await (onDemand ? Promise.race([signal, idle(services)]) : signal)
    if (!onDemand) process.stderr.write(`${reason}: closing.\n`)
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

async function unlock(services: Services, passphrase: string): Promise<void> {
  const client = services.attach(() => undefined)
  try {
    const reply = await client.call('keys.unlock', { passphrase })
    if (!reply.ok) throw VmmError.fromFailure(reply.failure)
  } finally {
    client.close()
  }
}

const print = (message: string): void => console.log(message)

/** Resolves at the first signal that asks to end. A second one ends the process at once. */
function nextSignal(): Promise<string> {
  return new Promise((resolve) => {
    const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
    let asked = false
    for (const signal of signals) {
      process.on(signal, () => {
        if (asked) process.exit(1)
        asked = true
        resolve(signal)
      })
    }
  })
}

/** Resolves when there has been nothing to do for a while; a machine that goes on without main is nothing to do. */
export function idle(services: Pick<Services, 'busy'>): Promise<string> {
  return new Promise((resolve) => {
    let since = Date.now()
    const check = setInterval(() => {
      const { machines, tasks, clients } = services.busy()
      if (machines + tasks + clients > 0) since = Date.now()
      if (Date.now() - since < LINGER_MS) return
      clearInterval(check)
      resolve('idle')
    }, IDLE_CHECK_MS)
  })
}
