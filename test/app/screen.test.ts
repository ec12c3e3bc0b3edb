import type { Page } from 'playwright-core'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { connectClient, takeScreenshot, type VmmError } from '../../src-main/contract'
import { connectLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { displayEnvironment } from '../support/display'
import { launchElectron, noElectron } from '../support/electron-app'
import { bytes } from '../support/random-values'
import { canvasOf, picture, startScreenDomain } from '../support/screen-guest'
import { seededRandom } from '../support/seeded-random'
import { seedStarter } from '../support/starter'
import { temporaryFolder, temporaryFolderForFile } from '../support/temporary-folder'
import { finish } from '../support/vivarium'

const SOON = { timeout: 30_000 }
const RED = { width: 320, height: 200, red: 64_000 }
/** The guest's greeting and nothing else: a BIOS writes more. */
const GREETED = { width: 720, height: 400, lit: 748 }
const app = browserAppForFile({ starter: true })
const folder = temporaryFolderForFile()
let id = ''

beforeAll(async () => {
  if (!noChromium) id = await startScreenDomain(app.call, folder)
})

/** The page with the guest's greeting on a screen in text mode, and the keyboard on it. */
async function openScreen(): Promise<Page> {
  const page = await app.open(`/domains/${id}/console`)
  await expect.poll(() => picture(page).then(({ width }) => width), SOON).toBeGreaterThan(0)
  await canvasOf(page).click()
  await page.keyboard.press('t')
  await expect.poll(() => picture(page), SOON).toMatchObject(GREETED)
  return page
}

const focusedRole = (page: Page) => page.evaluate(() => document.activeElement?.getAttribute('role'))

test('keys go to the guest, whose text, pictures and sizes are shown', async () => {
  const page = await openScreen()
  await page.keyboard.type('hello')
  await expect.poll(() => picture(page).then(({ lit }) => lit), SOON).toBeGreaterThan(GREETED.lit + 100)

  await page.keyboard.press('g')
  await expect.poll(() => picture(page), SOON).toMatchObject(RED)
  await page.keyboard.press('v')
  await expect.poll(() => picture(page), SOON).toMatchObject({ width: 1024, height: 768, lit: 21_333 })
  await page.getByText('1024 × 768').waitFor()
})

test('every key is the guest’s but the ones that leave', async () => {
  const page = await openScreen()
  for (const keys of ['Tab', 'F2', 'Escape', 'Control+n', 'Delete']) await page.keyboard.press(keys)
  expect(await focusedRole(page)).toBe('application')

  await page.keyboard.press('Control+Shift+Escape')
  expect(await focusedRole(page)).toBe('tab')

  // Control and Shift were let go of in the guest, too
  await canvasOf(page).focus()
  await page.keyboard.press('g')
  await expect.poll(() => picture(page), SOON).toMatchObject(RED)
})

test('text is typed as keys', async () => {
  const page = await openScreen()
  await page.getByRole('button', { name: 'Type text…' }).click()
  await page.getByRole('textbox', { name: 'Text' }).fill('Typed: g')
  await page.getByRole('button', { name: 'Type', exact: true }).click()

  await expect.poll(() => picture(page), SOON).toMatchObject(RED)
})

test('a screenshot is a PNG of what is shown, from a call and as a file', async () => {
  const page = await openScreen()
  const sizeOf = (png: Uint8Array) => [Buffer.from(png).readUInt32BE(16), Buffer.from(png).readUInt32BE(20)]
  await expect.poll(() => takeScreenshot(app.call, id).then(sizeOf), SOON).toEqual([720, 400])

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save a screenshot' }).click(),
  ])
  expect(download.suggestedFilename()).toBe('pictures.png')

  await page.keyboard.press('Control+Shift+Escape')
  await canvasOf(page).click()
  await page.keyboard.press('g')
  await expect.poll(() => takeScreenshot(app.call, id).then(sizeOf), SOON).toEqual([320, 200])
})

test('a viewer that talks nonsense ends, and nothing else does', async () => {
  const { random } = seededRandom()
  const page = await openScreen()
  for (let round = 0; round < 20; round++) {
    const { displayId } = await app.call('display.open', { id })
    const hello = round % 2 === 0 ? Buffer.alloc(0) : Buffer.from('RFB 003.008\n\x01\x01')
    const noise = Buffer.concat([hello, bytes(random, 5000)])
    const written = await app.call('display.write', { displayId, bytes: noise }).then(
      () => 'taken',
      (error: unknown) => (error as VmmError).kind,
    )
    expect(['taken', 'state']).toContain(written)
    await app.call('display.close', { displayId })
  }

  expect((await app.call('domains.get', { id })).state).toBe('running')
  await canvasOf(page).click()
  await page.keyboard.press('t')
  await page.keyboard.press('g')
  await expect.poll(() => picture(page), SOON).toMatchObject(RED)
})

test('the screen comes back by itself after a save, with all that was on it', async () => {
  const page = await openScreen()
  const { lit } = await picture(page)
  await finish(app.call, app.call('domains.save', { id }))
  await page.getByText('There is nothing on the screen').waitFor()

  await finish(app.call, app.call('domains.start', { id }))

  await expect.poll(() => picture(page).then((shown) => shown.lit), SOON).toBe(lit)
  await canvasOf(page).click()
  await page.keyboard.press('g')
  await expect.poll(() => picture(page), SOON).toMatchObject(RED)
})

test('the serial console is a switch away, and the choice is kept', async () => {
  const page = await openScreen()
  await page.getByRole('radio', { name: 'Screen' }).focus()
  await page.keyboard.press('ArrowLeft')
  await page.getByTestId('console').waitFor()

  await page.reload()
  await page.getByTestId('console').waitFor()
  await page.getByText('Screen', { exact: true }).click()
  await expect.poll(() => picture(page).then(({ width }) => width), SOON).toBeGreaterThan(0)
})

test('the Overview has a picture that leads to the screen', async () => {
  const page = await openScreen()
  await page.getByRole('tab', { name: 'Overview' }).click()
  const preview = page.getByRole('button', { name: 'Open the screen of pictures' })
  await expect
    .poll(() => preview.locator('canvas').evaluate((canvas: HTMLCanvasElement) => canvas.width), SOON)
    .toBe(640)

  await preview.click()
  await expect.poll(() => focusedRole(page), SOON).toBe('application')
})

test('the window shows it too, under its own content policy', async (context) => {
  context.skip(noElectron !== '', noElectron)
  const home = temporaryFolder()
  await seedStarter(home)
  const { page } = await launchElectron(home, await displayEnvironment())
  await page.getByRole('navigation', { name: 'Vivarium' }).waitFor({ timeout: 30_000 })
  const connection = await connectLocal(socketAddress(home))
  onTestFinished(() => connection.close())
  const { call } = connectClient(connection)
  const own = await startScreenDomain(call, temporaryFolder())

  await page.evaluate((path) => (window.location.hash = path), `#/domains/${own}/console`)
  await expect.poll(() => picture(page).then(({ lit }) => lit), SOON).toBeGreaterThan(500)
  await canvasOf(page).click()
  await page.keyboard.press('g')
  await expect.poll(() => picture(page), SOON).toMatchObject(RED)
  await call('domains.forceOff', { id: own })
})
