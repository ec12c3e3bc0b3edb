import { beforeAll, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { writeDisk } from '../support/image-files'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish } from '../support/vivarium'

const app = browserAppForFile()
const files = temporaryFolderForFile()
let imageId = ''
beforeAll(async () => {
  if (noChromium) return
  const path = await writeDisk(files, 'disk.img')
  imageId = (await finish(app.call, app.call('images.import', { sources: [{ path }] }))).resultId
})

const create = (name: string) => app.call('domains.create', { spec: { name, engine: 'embedded', imageId } })

test('delete, undo, delete, restore, delete for good', async () => {
  const { id } = await create('kept')
  const page = await app.open(`/domains/${id}`)
  const row = page.getByRole('treeitem', { name: /^kept/ })
  const restored = page.getByRole('main').getByRole('heading', { name: 'kept', level: 1 })

  await row.click()
  await page.keyboard.press('Delete')
  await row.waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Undo' }).click()
  await row.waitFor()
  await restored.waitFor()

  await row.click()
  await page.keyboard.press('Delete')
  await row.waitFor({ state: 'detached' })
  await page.getByRole('navigation', { name: 'Vivarium' }).getByRole('button', { name: 'Trash' }).click()
  await page.getByRole('button', { name: 'Restore kept' }).click()
  await row.waitFor()
  await restored.waitFor()

  await row.click()
  await page.keyboard.press('Delete')
  await page.getByRole('navigation', { name: 'Vivarium' }).getByRole('button', { name: 'Trash' }).click()
  await page.getByRole('button', { name: 'Empty trash…' }).click()
  const question = page.getByRole('alertdialog')
  expect(await question.textContent()).toContain('cannot be undone')
  await question.getByRole('button', { name: 'Cancel' }).click()
  expect(await app.call('trash.list', {})).toHaveLength(1)
  await page.getByRole('button', { name: 'Empty trash…' }).click()
  await question.getByRole('button', { name: 'Delete for good' }).click()
  await page.getByText('The trash is empty', { exact: true }).waitFor()
  expect(await app.call('trash.list', {})).toEqual([])
})

test('a second window sees what the first one does', async () => {
  await create('shared')
  const [first, second] = [await app.open(), await app.open()]
  const row = /^shared/
  await second.getByRole('treeitem', { name: row }).waitFor()
  await first.getByRole('treeitem', { name: row }).click()
  await first.keyboard.press('F2')
  await first.getByRole('dialog').getByLabel('Name').fill('renamed')
  await first.keyboard.press('Enter')
  await second.getByRole('treeitem', { name: /^renamed/ }).waitFor()

  await second.getByRole('navigation', { name: 'Vivarium' }).getByRole('button', { name: 'Trash' }).click()
  await first.getByRole('treeitem', { name: /^renamed/ }).click()
  await first.keyboard.press('Delete')
  await second.getByRole('button', { name: 'Restore renamed' }).click()
  await first.getByRole('treeitem', { name: /^renamed/ }).waitFor()
})
