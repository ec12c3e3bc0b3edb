import { resolve } from 'node:path'
import type { Browser } from 'playwright-core'
import { beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { serveBrowsers } from '../../src-main/server'
import { openServices } from '../../src-main/services'
import { forkGuests } from '../../vmm/engine/guest-process'
import { networkThread } from '../../vmm/net/network'
import { launchChromium, noChromium } from '../support/chromium'
import { temporaryFolder } from '../support/temporary-folder'

let browser: Browser
beforeAll(async () => {
  if (!noChromium) browser = await launchChromium()
})
beforeEach((context) => context.skip(noChromium !== '', noChromium))

/** The real services and the built interface, for a browser. */
async function serve(): Promise<string> {
  const services = await openServices({
    dataFolder: temporaryFolder(),
    spawnGuest: forkGuests(resolve('.vite/build/guest.js')),
    spawnNetwork: networkThread(resolve('.vite/build/network.js')),
    spawnFiles: forkGuests(resolve('.vite/build/files.js')),
    keychain: null,
    shell: { kind: 'browser', show: () => '' },
  })
  const server = await serveBrowsers({ services, uiFolder: resolve('.vite/renderer'), port: 0 })
  onTestFinished(async () => {
    await server.close()
    await services.close()
  })
  return server.url
}

/** A new tab on `url`, and all that its console complains of. */
async function open(url: string) {
  const context = await browser.newContext()
  onTestFinished(() => context.close())
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  await page.goto(url)
  return { page, complaints }
}

test('the printed address opens the interface, and a reload needs no address', async () => {
  const { page, complaints } = await open(await serve())

  await page.getByRole('heading', { name: 'Welcome to Vivarium' }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: 'Welcome to Vivarium' }).waitFor()

  expect(page.url()).not.toContain('token')
  expect(complaints).toEqual([])
})

test.each(['', '#token=wrong'])('an address with %j instead of the token opens nothing', async (fragment) => {
  const url = new URL(await serve())
  url.hash = fragment

  const { page } = await open(url.href)

  await page
    .getByText(/token|address|link/i)
    .first()
    .waitFor()
  expect(await page.getByText('Try a guest now').count()).toBe(0)
})
