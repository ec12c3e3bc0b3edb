import { beforeAll, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { writeDisk } from '../support/image-files'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish } from '../support/vivarium'

const COUNT = 500
/** Rows of 48 pixels in a window of 800, with as many again above and below. */
const MOST_ROWS = 60

const app = browserAppForFile()
const files = temporaryFolderForFile()
beforeAll(async () => {
  if (noChromium) return
  const path = await writeDisk(files, 'disk.img')
  const { resultId: imageId } = await finish(app.call, app.call('images.import', { sources: [{ path }] }))
  for (let number = 1; number <= COUNT; number++) {
    const name = `node-${String(number).padStart(3, '0')}`
    await app.call('domains.create', { spec: { name, engine: 'embedded', imageId } })
  }
})

test('only the rows in sight are in the page, and scrolling brings the others', async () => {
  const page = await app.open()
  await page.getByText(`${COUNT} domains`).waitFor()
  const rows = page.getByRole('treeitem')
  await page.getByRole('treeitem', { name: /^node-001/ }).waitFor()
  expect(await rows.count()).toBeLessThan(MOST_ROWS)
  expect(await rows.first().getAttribute('aria-setsize')).toBe(String(COUNT))

  await page.getByRole('tree').evaluate((list) => (list.scrollTop = list.scrollHeight))
  await page.getByRole('treeitem', { name: /^node-500/ }).waitFor()
  expect(await rows.count()).toBeLessThan(MOST_ROWS)
})

test('search narrows the list and says by how much; clearing it brings all back', async () => {
  const page = await app.open()
  const search = page.getByRole('searchbox', { name: 'Search domains' })
  await search.fill('node-49')
  await page.getByText(`10 of ${COUNT}`).waitFor()
  await expect.poll(() => page.getByRole('treeitem').count()).toBe(10)
  await search.fill('nothing like it')
  await page.getByText('No domain matches').waitFor()
  await page.getByRole('button', { name: 'Clear search' }).first().click()
  await page.getByText(`${COUNT} domains`).waitFor()
})

test('keys move through the whole list', async () => {
  const page = await app.open()
  await page.getByText(`${COUNT} domains`).waitFor()
  await page.keyboard.press('Control+f')
  await page.keyboard.type('node')
  await page.keyboard.press('ArrowDown')
  const selected = () => page.locator('[role="treeitem"][aria-selected="true"]').getAttribute('aria-label')
  await expect.poll(selected).toMatch(/^node-001/)
  await page.keyboard.press('ArrowDown')
  await expect.poll(selected).toMatch(/^node-002/)
  await page.keyboard.press('End')
  await expect.poll(selected).toMatch(/^node-500/)
  // the active row is there for those who hear it
  const active = await page.getByRole('tree').getAttribute('aria-activedescendant')
  expect(await page.locator(`[id="${active}"]`).count()).toBe(1)
  await page.keyboard.type('node-25')
  await expect.poll(selected).toMatch(/^node-250/)
  await page.keyboard.press('Home')
  await expect.poll(selected).toMatch(/^node-001/)
})

test('a domain that is made elsewhere shows up at its place', async () => {
  const page = await app.open()
  await page.getByText(`${COUNT} domains`).waitFor()
  const [image] = await app.call('images.list', {})
  const made = await app.call('domains.create', {
    spec: { name: 'a-first', engine: 'embedded', imageId: image?.id ?? '' },
  })
  await page.getByText(`${COUNT + 1} domains`).waitFor()
  expect(await page.getByRole('treeitem').first().getAttribute('aria-label')).toMatch(/^a-first/)
  await app.call('domains.delete', { id: made.id })
  await page.getByText(`${COUNT} domains`).waitFor()
})
