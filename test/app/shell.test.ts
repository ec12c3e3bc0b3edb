import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import type { BrowserWindow } from 'electron'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { displayEnvironment } from '../support/display'
import { definedEnvironment, launchElectron, noElectron, sandboxFlags } from '../support/electron-app'
import { vivarium } from '../support/command-line'
import { seedStarter } from '../support/starter'
import { temporaryFolder } from '../support/temporary-folder'

let display: Record<string, string> = {}
beforeAll(async () => {
  if (!noElectron) display = await displayEnvironment()
})
beforeEach((context) => context.skip(noElectron !== '', noElectron))

/** Counts who comes to a server that the page must never reach. */
async function hostileServer() {
  let visits = 0
  const server = createServer((_request, response) => {
    visits++
    response.setHeader('Access-Control-Allow-Origin', '*')
    response.end('<title>hostile</title>')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, visits: () => visits }
}

describe('the window', () => {
  test('shows the interface from its own origin, with the bridge and nothing else', async () => {
    const { app, page } = await launchElectron(temporaryFolder(), display)

    await page.getByText('Vivarium').first().waitFor()

    expect(page.url()).toMatch(/^app:\/\/ui\//)
    const globals = await page.evaluate(() => ({
      bridge: Object.keys(window.vivarium ?? {}).sort(),
      node: [typeof Reflect.get(window, 'require'), typeof Reflect.get(window, 'process')],
    }))
    expect(globals).toEqual({ bridge: ['onMessage', 'pathOf', 'post', 'shell'], node: ['undefined', 'undefined'] })
    const preferences = await app.evaluate(({ BrowserWindow }) => {
      const [window] = BrowserWindow.getAllWindows() as (BrowserWindow & {
        webContents: { getLastWebPreferences(): Record<string, unknown> }
      })[]
      return window?.webContents.getLastWebPreferences()
    })
    expect(preferences).toMatchObject({ contextIsolation: true, sandbox: true, nodeIntegration: false })
  })

  test('cannot be made to show or reach anything else', async () => {
    const { app, page } = await launchElectron(temporaryFolder(), display)
    const hostile = await hostileServer()
    await page.getByText('Vivarium').first().waitFor()

    const tried = await page.evaluate(async (url) => {
      const outcome = async (attempt: () => unknown): Promise<string> => {
        try {
          const value = await attempt()
          return value ? 'done' : 'nothing'
        } catch {
          return 'refused'
        }
      }
      const frame = document.createElement('iframe')
      frame.src = url
      document.body.append(frame)
      const script = document.createElement('script')
      script.textContent = 'window.injected = true'
      document.body.append(script)
      return {
        open: await outcome(() => window.open(url)),
        fetch: await outcome(() => fetch(url)),
        file: await outcome(() => fetch('file:///etc/passwd')),
        traversal: await outcome(() => fetch('app://ui/..%2f..%2fpackage.json').then((answer) => answer.ok)),
        otherHost: await outcome(() => fetch('app://other/index.html')),
        inline: String(Reflect.get(window, 'injected')),
        geolocation: await outcome(
          () => new Promise((done, failed) => navigator.geolocation.getCurrentPosition(done, failed)),
        ),
      }
    }, hostile.url)
    await page.evaluate((url) => {
      window.location.href = url
    }, hostile.url)
    await page.waitForTimeout(500)

    expect(tried).toEqual({
      open: 'nothing',
      fetch: 'refused',
      file: 'refused',
      traversal: 'nothing',
      otherHost: 'refused',
      inline: 'undefined',
      geolocation: 'refused',
    })
    expect(page.url()).toMatch(/^app:\/\/ui\//)
    expect(hostile.visits()).toBe(0)
    expect(app.windows()).toHaveLength(1)
  })

  test('comes back where it was', async () => {
    const home = temporaryFolder()
    const first = await launchElectron(home, display)
    await first.app.evaluate(({ BrowserWindow }) =>
      BrowserWindow.getAllWindows()[0]?.setBounds({ x: 40, y: 30, width: 900, height: 640 }),
    )
    await first.page.waitForTimeout(800)
    await first.app.close()

    const second = await launchElectron(home, display)

    const bounds = await second.app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.getBounds())
    expect(bounds).toEqual({ x: 40, y: 30, width: 900, height: 640 })
  })

  test('goes on after its page crashed', async () => {
    const { app, page } = await launchElectron(temporaryFolder(), display)
    await page.getByText('Vivarium').first().waitFor()
    const crashed = page.waitForEvent('crash')

    await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.webContents.forcefullyCrashRenderer())
    await crashed

    const settled = (): Promise<boolean> =>
      app.evaluate(({ BrowserWindow }) => {
        const contents = BrowserWindow.getAllWindows()[0]?.webContents
        return contents !== undefined && !contents.isCrashed() && !contents.isLoading()
      })
    await expect.poll(settled, { timeout: 20_000 }).toBe(true)
    const answered = await app.evaluate(
      ({ BrowserWindow }) =>
        BrowserWindow.getAllWindows()[0]?.webContents.executeJavaScript('document.title') as Promise<unknown>,
    )
    expect(answered).toBe('Vivarium')
  }, 60_000)
})

test('a second Vivarium brings the first one to the front and ends', async () => {
  const home = temporaryFolder()
  const { app } = await launchElectron(home, display)
  await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.hide())

  const second = spawn(app.process().spawnfile, [...sandboxFlags, resolve('.')], {
    env: { ...definedEnvironment(), ...display, VIVARIUM_HOME: home, VIVARIUM_UNATTENDED: 'force-off' },
  })
  let said = ''
  second.stdout.on('data', (text: Buffer) => (said += text.toString()))
  const [status] = (await once(second, 'exit')) as [number | null]

  expect({ status, said }).toEqual({
    status: 0,
    said: 'Vivarium is already running. Its window has been brought to the front.\n',
  })
  expect(await app.evaluate(({ BrowserWindow }) => BrowserWindow.getAllWindows()[0]?.isVisible())).toBe(true)
})

test('closing saves the guests that run, when asked to', async () => {
  const home = temporaryFolder()
  await seedStarter(home)
  const { app } = await launchElectron(home, { ...display, VIVARIUM_UNATTENDED: 'save' })
  expect((await vivarium(home, ['new', 'kept', '--start'])).status).toBe(0)

  await app.close()

  const after = JSON.parse((await vivarium(home, ['ls', '--json'])).stdout) as unknown
  expect(after).toMatchObject([{ name: 'kept', state: 'saved' }])
})
