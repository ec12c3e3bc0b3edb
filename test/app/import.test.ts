import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { displayEnvironment } from '../support/display'
import { launchElectron, noElectron } from '../support/electron-app'
import { writeDisk, writeIso } from '../support/image-files'
import { testStarter } from '../support/starter'
import { temporaryFolder, temporaryFolderForFile } from '../support/temporary-folder'

const BOOT_MS = 180_000

const files = temporaryFolderForFile()
let disk = ''
let iso = ''
let refused: { name: string; path: string; says: RegExp; hint: RegExp }[] = []
beforeAll(async () => {
  disk = await writeDisk(files, 'small disk.img')
  iso = await writeIso(files, 'rescue.iso')
  const page = join(files, 'download.iso')
  await writeFile(page, '<!DOCTYPE html><title>404</title>')
  const empty = join(files, 'empty.img')
  await writeFile(empty, '')
  refused = [
    { name: 'an empty file', path: empty, says: /'empty\.img' is empty\./, hint: /Choose/ },
    { name: 'a web page', path: page, says: /web page/, hint: /download went wrong/ },
    {
      name: 'an ISO cut short',
      path: await writeIso(files, 'short.iso', 19 * 2048),
      says: /short\.iso/,
      hint: /again.*checksum/,
    },
  ]
})

async function choose(page: Page, paths: string[]): Promise<void> {
  await page.getByRole('toolbar', { name: 'Make domains' }).getByRole('button', { name: 'Import' }).click()
  await page.getByTestId('import-files').setInputFiles(paths)
}

/** Imports files over the interface; the image is then offered for a new domain. */
async function importFiles(page: Page, paths: string[], name: string): Promise<void> {
  await choose(page, paths)
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name').fill(name)
  await dialog.getByRole('button', { name: 'Import' }).click()
  await page.getByText('The image was imported.').first().waitFor()
  await dialog.waitFor({ state: 'detached' })
}

async function expectRefusals(page: Page): Promise<void> {
  for (const { name, path, says, hint } of refused) {
    await choose(page, [path])
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Import' }).click()
    const alert = dialog.getByRole('alert')
    await alert.waitFor()
    const told = (await alert.locator('p').allTextContents()).slice(0, 2)
    expect(told[0], name).toMatch(says)
    expect(told[1], name).toMatch(hint)
    // neither where it was put meanwhile nor anything of the inside
    expect(told.join(' '), name).not.toMatch(/uploads|undefined|Error:|ENO/)
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await dialog.waitFor({ state: 'detached' })
  }
}

describe('in real Chromium, by sending the content', () => {
  const app = browserAppForFile()

  test('a disk and an ISO', async () => {
    const page = await app.open()
    await importFiles(page, [disk], 'Small disk')
    await importFiles(page, [iso], 'Rescue')

    expect(await app.call('images.list', {})).toMatchObject([
      { name: 'Small disk', kind: 'disk' },
      { name: 'Rescue', kind: 'cdrom' },
    ])
  })

  test('what is no image: one sentence that says why, and one that says what to do', async () => {
    const page = await app.open()
    const before = await app.call('images.list', {})
    await expectRefusals(page)
    expect(await app.call('images.list', {})).toEqual(before)
  })

  test('a kernel with its initrd, which then boots', async () => {
    const { kernel, initrd } = await testStarter()
    const page = await app.open()
    await choose(page, [initrd, kernel])
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name').fill('My kernel')
    await dialog.getByLabel('Kernel command line').fill('console=ttyS0')
    await dialog.getByRole('button', { name: 'Import' }).click()
    await page.getByRole('button', { name: 'New domain from it' }).click()

    await dialog.getByLabel('Name').fill('mine')
    await dialog.getByRole('button', { name: 'Create & start' }).click()
    await page.getByRole('treeitem', { name: /^mine, Running/ }).waitFor()
    await page.getByRole('tab', { name: 'Console' }).click()
    const screen = page.getByTestId('console')
    await expect.poll(() => screen.textContent(), { timeout: BOOT_MS }).toContain('root@')
  })
})

describe('in real Electron, by path', () => {
  test.skipIf(noElectron !== '')('a disk and an ISO, and what is no image', async () => {
    const { page } = await launchElectron(temporaryFolder(), await displayEnvironment())
    page.setDefaultTimeout(30_000)
    await importFiles(page, [disk], 'Small disk')
    await importFiles(page, [iso], 'Rescue')
    await expectRefusals(page)

    await page.getByRole('navigation', { name: 'Vivarium' }).getByRole('button', { name: 'Images' }).click()
    await page.getByRole('main').getByText('Small disk').first().waitFor()
    await page.getByRole('main').getByText('Rescue').first().waitFor()
  })
})
