import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { region } from '../support/network-page'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, shell, startDomain } from '../support/vivarium'

const app = browserAppForFile({ starter: true })
const home = temporaryFolderForFile()
const folder = path.join(home, 'Notes (old)')
let id = ''
beforeAll(async () => {
  if (noChromium) return
  await mkdir(path.join(folder, 'deep'), { recursive: true })
  await writeFile(path.join(folder, 'list.txt'), 'bread\nmilk\n')
  const { resultId: imageId } = await finish(app.call, app.call('images.prepareStarter', {}))
  id = (await app.call('domains.create', { spec: { name: 'reader', engine: 'embedded', imageId } })).id
})

test('a folder is chosen by keys, shared, and has rules that can be asked about', async () => {
  const page = await app.open(`/domains/${id}/files`)
  await page.getByRole('button', { name: 'Share a folder' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Folder on this host').fill(home)
  await dialog.getByLabel('Folder on this host').press('Enter')
  await dialog.getByRole('option', { name: 'Notes (old)' }).focus()
  await page.keyboard.press('Enter')
  await dialog.getByRole('option', { name: 'deep' }).waitFor()
  expect(await dialog.getByLabel('Name in the guest').inputValue()).toBe('Notes-old')
  expect(await dialog.getByRole('radio', { name: /^Copy on write/ }).isChecked()).toBe(true)
  await dialog.getByRole('button', { name: 'Share', exact: true }).click()

  const share = page.getByRole('listitem', { name: 'Share Notes-old' })
  await share.getByText(folder).waitFor()
  expect((await app.call('files.get', { id })).shares).toMatchObject([
    { name: 'Notes-old', folder, mode: 'copy-on-write', attached: true },
  ])
  await share.getByRole('switch', { name: 'Attach Notes-old' }).click()
  await share.getByText('Not seen: detached').waitFor()
  await share.getByRole('switch', { name: 'Attach Notes-old' }).click()

  await page.getByRole('button', { name: 'Add a rule: Files' }).click()
  await page.getByRole('button', { name: 'Add rule' }).click()
  const form = region(page, 'The chosen rule')
  await form.getByLabel('Name').fill('No lists')
  await form.getByRole('radio', { name: /^Hide/ }).check()
  await form.getByRole('button', { name: 'Remove the path **' }).click()
  await form.getByLabel('Paths').fill('my list, *.txt')
  await form.getByLabel('Paths').press('Enter')
  await form.getByRole('button', { name: 'Remove the path my list, *.txt' }).click()
  await form.getByLabel('Paths').fill('*.txt')
  await form.getByLabel('Paths').press('Enter')

  const question = region(page, 'What would happen to this path?')
  await question.getByLabel('Path in the share').fill('list.txt')
  await question.getByLabel('Path in the share').press('Enter')
  await question.getByText('Denied', { exact: true }).waitFor()
  await page.getByRole('option', { name: /No lists.*decides/ }).waitFor()
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('link', { name: 'reader, Files' }).click()
  await page.getByRole('button', { name: 'Edit the rule No lists' }).waitFor()
  expect((await app.call('policy.get', { id })).policy.files.rules).toMatchObject([
    { name: 'No lists', paths: ['*.txt'] },
  ])
})

test('what a guest changes in a folder is seen, compared, and applied when that is wanted', async () => {
  const guest = await startDomain(app.call, 'writer')
  await app.call('files.addShare', { id: guest, folder, name: 'notes' })
  await expect
    .poll(() => app.call('files.get', { id: guest }).then(({ shares }) => shares[0]?.mountedAt), { timeout: 30_000 })
    .toBe('/mnt/notes')
  await shell(app.call, guest, 'echo tea >> /mnt/notes/list.txt && echo new > /mnt/notes/deep/fresh && sync')
  expect(await readFile(path.join(folder, 'list.txt'), 'utf8')).toBe('bread\nmilk\n')

  const page = await app.open(`/domains/${guest}/files`)
  await page.getByRole('button', { name: 'Changes in notes' }).click()
  await page.getByRole('treeitem', { name: /^list\.txt, file, changed/ }).click()
  await region(page, 'Lines that differ').getByText('tea').waitFor()
  await page.getByRole('treeitem', { name: /^fresh, file, added/ }).waitFor()
  await page.getByRole('treeitem', { name: /^list\.txt/ }).press(' ')
  await page.getByRole('button', { name: 'Apply to host' }).click()
  const question = page.getByRole('dialog', { name: 'Apply 1 change?' })
  await question.getByText(folder).waitFor()
  await question.getByRole('button', { name: 'Apply to host' }).click()
  await page.getByRole('treeitem', { name: /^list\.txt/ }).waitFor({ state: 'detached' })
  expect(await readFile(path.join(folder, 'list.txt'), 'utf8')).toBe('bread\nmilk\ntea\n')

  await page.getByRole('treeitem', { name: /^fresh/ }).press(' ')
  await page.getByRole('button', { name: 'Discard' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Discard' }).click()
  await region(page, 'Changes in notes').getByText('The guest has changed nothing here.').waitFor()
  expect(await shell(app.call, guest, 'ls /mnt/notes/deep')).toBe('')
})
