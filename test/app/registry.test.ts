import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Page } from 'playwright-core'
import { beforeAll, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { region, undo } from '../support/network-page'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish } from '../support/vivarium'

const EXAMPLE = 'HKLM\\Software\\Example'
const FILE = [
  'Windows Registry Editor Version 5.00',
  '',
  '[HKEY_LOCAL_MACHINE\\Software\\Example]',
  '@="the default"',
  '"Path"="C:\\\\Programs\\\\Example"',
  '"Size"=dword:0000002a',
  '"Blob"=hex:de,ad,be,ef',
  '',
  '[HKEY_LOCAL_MACHINE\\Software\\Example\\Sub]',
  '"Inner"="found me"',
  '',
  '[HKEY_LOCAL_MACHINE\\Software\\Wine]',
  '',
].join('\r\n')

const app = browserAppForFile({ starter: true })
const home = temporaryFolderForFile()
const source = path.join(home, 'example.reg')
let id = ''
beforeAll(async () => {
  if (noChromium) return
  await writeFile(source, FILE)
  const { resultId: imageId } = await finish(app.call, app.call('images.prepareStarter', {}))
  id = (await app.call('domains.create', { spec: { name: 'office', engine: 'embedded', imageId } })).id
})

const value = async (name: string, key = EXAMPLE) => {
  const { type, bytes } = await app.call('registry.value', { id, key, name })
  return [type, Buffer.from(bytes).toString('hex')]
}
/** Of a .reg file, without the order that values happen to have. */
const linesOf = async (file: string) =>
  (await readFile(file)).subarray(2).toString('utf16le').split('\r\n').filter(Boolean).sort()
const key = (page: Page, name: RegExp | string) => page.getByRole('treeitem', { name })
const row = (page: Page, name: RegExp) => region(page, 'Values').getByRole('row', { name })

test('a .reg file becomes a base hive, which is walked by keys and changed', async () => {
  const page = await app.open(`/domains/${id}/registry`)
  await page.getByRole('button', { name: 'Import a hive…' }).click()
  const importing = page.getByRole('dialog', { name: 'Import into the registry' })
  await importing.getByTestId('registry-file').setInputFiles(source)
  await importing.getByText('Chosen: example.reg').waitFor()
  await importing.getByRole('button', { name: 'Import', exact: true }).click()
  await importing.waitFor({ state: 'detached' })

  await key(page, 'HKCR').focus()
  // to HKLM by its letters, then down into it
  await page.keyboard.type('hkl')
  await page.keyboard.press('ArrowRight')
  await key(page, 'Software').waitFor()
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await key(page, 'Example').waitFor()
  await page.keyboard.press('ArrowDown')
  await expect.poll(() => page.getByLabel('Path of the key').inputValue()).toBe(EXAMPLE)

  await row(page, /^Size/).focus()
  await page.keyboard.press('Enter')
  const editor = page.getByRole('dialog', { name: 'Size' })
  await expect.poll(() => editor.getByLabel('Number').inputValue()).toBe('2a')
  await editor.getByRole('radio', { name: 'Decimal', exact: true }).check()
  expect(await editor.getByLabel('Number').inputValue()).toBe('42')
  await editor.getByLabel('Number').fill('258')
  await page.keyboard.press('Enter')
  await row(page, /^Size.*changed by this domain.*0x00000102/).waitFor()
  expect(await value('Size')).toEqual([4, '02010000'])

  await row(page, /^Blob/).dblclick()
  const bytes = page.getByRole('dialog', { name: 'Blob' }).getByLabel('Bytes in hexadecimal')
  await bytes.fill('de ad be')
  await page.getByRole('button', { name: 'Save' }).click()
  await row(page, /^Blob.*de ad be/).waitFor()
  expect(await value('Blob')).toEqual([3, 'deadbe'])

  await page.getByRole('button', { name: 'Add value' }).click()
  const adding = page.getByRole('dialog', { name: 'New value' })
  await adding.getByLabel('Name').fill('size')
  await adding.getByText('The key has a value of this name.').waitFor()
  await adding.getByLabel('Name').fill('List')
  await adding.getByLabel('Type').selectOption('REG_MULTI_SZ')
  await adding.getByLabel('Texts').fill('one\ntwo')
  await adding.getByRole('button', { name: 'Save' }).click()
  await row(page, /^List.*one \| two/).waitFor()

  await row(page, /^Path/).focus()
  await page.keyboard.press('Delete')
  await row(page, /^Path/).waitFor({ state: 'detached' })
  await undo(page).click()
  await row(page, /^Path/).waitFor()
})

test('a key is made, renamed, and deleted with a way back', async () => {
  const page = await app.open(`/domains/${id}/registry`)
  await page.getByLabel('Path of the key').fill('HKEY_LOCAL_MACHINE\\software\\wine')
  await page.getByLabel('Path of the key').press('Enter')
  await key(page, 'Wine').focus()
  await page.keyboard.press('Insert')
  await page.getByRole('dialog', { name: 'New key' }).getByLabel('Name').fill('Drives')
  await page.keyboard.press('Enter')
  await key(page, /^Drives, changed/).focus()
  await page.keyboard.press('F2')
  await page.getByRole('dialog', { name: 'Rename key' }).getByLabel('Name').fill('Disks')
  await page.keyboard.press('Enter')
  await expect.poll(() => page.getByLabel('Path of the key').inputValue()).toBe('HKLM\\Software\\Wine\\Disks')
  await key(page, /^Disks/).focus()
  await page.keyboard.press('Delete')
  await page.getByRole('alertdialog').getByText('cannot be brought back').waitFor()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click()
  await key(page, /^Disks/).waitFor({ state: 'detached' })

  await page.getByLabel('Path of the key').fill(`${EXAMPLE}\\Sub`)
  await page.getByLabel('Path of the key').press('Enter')
  await key(page, 'Sub').focus()
  await page.keyboard.press('Delete')
  await page.getByRole('alertdialog').getByText('it can be brought back').waitFor()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click()
  await key(page, 'Sub').waitFor({ state: 'detached' })
  await undo(page).last().click()
  await key(page, 'Sub').waitFor()
  expect(await value('Inner', `${EXAMPLE}\\Sub`)).toEqual([1, Buffer.from('found me\0', 'utf16le').toString('hex')])
})

test('a text is found in the data, and F3 goes there', async () => {
  const page = await app.open(`/domains/${id}/registry`)
  await key(page, 'HKLM').focus()
  await page.keyboard.press('Control+f')
  await page.getByLabel('Search the registry').fill('found ME')
  await page.keyboard.press('Enter')
  await page.getByRole('listbox', { name: 'What was found' }).getByRole('option', { name: /Inner/ }).waitFor()
  await page.keyboard.press('F3')
  await expect.poll(() => page.getByLabel('Path of the key').inputValue()).toBe(`${EXAMPLE}\\Sub`)
  await expect.poll(() => row(page, /^Inner/).getAttribute('aria-selected')).toBe('true')
})

test('what was changed is listed, exported, and put back', async () => {
  const page = await app.open(`/domains/${id}/registry`)
  await page.getByRole('tab', { name: /^Changes/ }).click()
  const changes = region(page, 'Changes since')
  const entries = changes.getByRole('listbox', { name: 'Entries that differ' })
  await entries.getByRole('option', { name: /^changed, value Size.*\(42\).*\(258\)/ }).waitFor()
  await changes.getByText('3 entries: 1 added, 2 changed, 0 deleted').waitFor()

  const target = path.join(home, 'changes.reg')
  await changes.getByRole('button', { name: 'Export .reg…' }).click()
  const exporting = page.getByRole('dialog', { name: 'Export changes' })
  await exporting.getByRole('textbox', { name: 'File' }).fill(target)
  await exporting.getByRole('button', { name: 'Export', exact: true }).click()
  await page.getByText(`The registry was written to ${target}.`).first().waitFor()
  expect(await linesOf(target)).toEqual(
    [
      'Windows Registry Editor Version 5.00',
      '[HKEY_LOCAL_MACHINE\\Software\\Example]',
      '"Blob"=hex:de,ad,be',
      '"List"=hex(7):6f,00,6e,00,65,00,00,00,74,00,77,00,6f,00,00,00,00,00',
      '"Size"=dword:00000102',
    ].sort(),
  )

  await entries.getByRole('option', { name: /^changed, value Size/ }).press(' ')
  await changes.getByRole('button', { name: 'Put chosen back' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Put back' }).click()
  await changes.getByText('2 entries: 1 added, 1 changed, 0 deleted').waitFor()
  expect(await value('Size')).toEqual([4, '2a000000'])
  await changes.getByRole('button', { name: 'Put all back' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Put back' }).click()
  await changes.getByText('Nothing differs.').waitFor()
  expect(await value('Blob')).toEqual([3, 'deadbeef'])
})

test('a branch is exported; a hive is shared with another domain and kept until nobody uses it', async () => {
  const target = path.join(home, 'branch.reg')
  const page = await app.open(`/domains/${id}/registry`)
  await page.getByLabel('Path of the key').fill(EXAMPLE)
  await page.getByLabel('Path of the key').press('Enter')
  await key(page, 'Example').click({ button: 'right' })
  await page.getByRole('menuitem', { name: 'Export branch…' }).click()
  const exporting = page.getByRole('dialog', { name: 'Export branch' })
  await exporting.getByRole('textbox', { name: 'File' }).fill(target)
  await exporting.getByRole('button', { name: 'Export', exact: true }).click()
  await page.getByText(`The registry was written to ${target}.`).first().waitFor()
  expect(await linesOf(target)).toEqual(
    FILE.split('\r\n')
      .filter((line) => line && !line.includes('Wine'))
      .sort(),
  )

  const [{ imageId } = { imageId: '' }] = await app.call('domains.list', {})
  const second = (await app.call('domains.create', { spec: { name: 'second', engine: 'embedded', imageId } })).id
  const next = await app.open(`/domains/${second}/registry`)
  await next.getByRole('button', { name: 'Use a hive that is kept' }).click()
  await next.getByText('1 other hive is kept').click()
  await next.getByRole('button', { name: /^Add example\.reg/ }).click()
  await next.getByLabel(/^Key at which example\.reg/).fill('HKLM')
  await next.keyboard.press('Enter')
  await next.getByText('used by office, second').waitFor()
  await next.getByRole('tab', { name: 'Keys' }).click()
  await next.getByLabel('Path of the key').fill(EXAMPLE)
  await next.getByLabel('Path of the key').press('Enter')
  await row(next, /^Path.*C:/).waitFor()
})
