import type { Page } from 'playwright-core'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { launchChromium, noChromium } from '../support/chromium'
import { displayEnvironment } from '../support/display'
import { launchElectron, noElectron } from '../support/electron-app'
import { spawnHeadless } from '../support/headless'
import { seedStarter } from '../support/starter'
import { temporaryFolder } from '../support/temporary-folder'

/** A cold boot on two busy cores takes most of it. */
const BOOT_MS = 180_000
const SOON_MS = 30_000

/** What a person does in the first five minutes, the same in the window and in the browser. */
async function clickThrough(page: Page): Promise<void> {
  page.setDefaultTimeout(SOON_MS)
  await page.getByRole('button', { name: 'Try a guest now' }).first().click()
  const screen = page.getByTestId('console')
  await expect.poll(() => screen.textContent({ timeout: BOOT_MS }), { timeout: BOOT_MS }).toContain('root@')
  await screen.click()
  await page.keyboard.type('uname -a\n')
  await expect.poll(() => screen.textContent(), { timeout: SOON_MS }).toMatch(/Linux \S+ 6\.\d.*i686/)

  const verbs = page.getByRole('toolbar', { name: /^Verbs for/ })
  await verbs.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('main').getByText('Paused').first().waitFor()
  await verbs.getByRole('button', { name: 'Resume' }).click()
  await page.getByRole('main').getByText('Running').first().waitFor()

  await verbs.getByRole('button', { name: 'Snapshot' }).click()
  await page.getByRole('dialog').getByLabel('Name').fill('As it was')
  await page.getByRole('button', { name: 'Take snapshot' }).click()
  await page.getByRole('tab', { name: 'Snapshots' }).click()
  await page.getByRole('treeitem', { name: /As it was/ }).waitFor()

  await verbs.getByRole('button', { name: 'More ways to stop' }).click()
  await page.getByRole('menuitem', { name: /Force Off/ }).click()
  await page.getByRole('alertdialog').or(page.getByRole('dialog')).getByRole('button', { name: 'Force Off' }).click()
  await page.getByRole('main').getByText('Off', { exact: true }).first().waitFor()
  await verbs.getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: /^Delete/ }).click()
  await page.getByText('Undo').waitFor()
  await page.getByText('0 domains').waitFor()
}

describe('in real Electron', () => {
  let display: Record<string, string> = {}
  beforeAll(async () => {
    if (!noElectron) display = await displayEnvironment()
  })
  beforeEach((context) => context.skip(noElectron !== '', noElectron))

  test('try a guest, type, pause, resume, snapshot, delete', async () => {
    const home = temporaryFolder()
    await seedStarter(home)
    const { page } = await launchElectron(home, display)
    await clickThrough(page)
  })
})

describe('in real Chromium', () => {
  beforeEach((context) => context.skip(noChromium !== '', noChromium))

  test('try a guest, type, pause, resume, snapshot, delete', async () => {
    const home = temporaryFolder()
    await seedStarter(home)
    const { url } = await spawnHeadless(home)
    const browser = await launchChromium()
    const page = await browser.newPage()
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    onTestFinished(() => page.close())
    await page.goto(url)
    await clickThrough(page)
    expect(complaints).toEqual([])
  })
})
