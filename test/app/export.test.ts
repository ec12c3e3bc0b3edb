import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { NO_QEMU_IMG, patternDisk, qemuImg } from '../support/qemu-disks'
import { temporaryFolderForFile } from '../support/temporary-folder'

describe.skipIf(NO_QEMU_IMG !== '')(`A disk of another program ${NO_QEMU_IMG}`, () => {
  const app = browserAppForFile()
  const files = temporaryFolderForFile()

  test('comes in over the page, and goes out again in another format', async () => {
    const { path } = await patternDisk(files)
    const disk = join(files, 'Web server.vmdk')
    qemuImg('convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', path, disk)
    const page = await app.open()
    await page.getByRole('toolbar', { name: 'Make domains' }).getByRole('button', { name: 'Import' }).click()
    await page.getByTestId('import-files').setInputFiles([disk])
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Import' }).click()
    await page.getByText('The image was imported.').first().waitFor()
    const [image] = await app.call('images.list', {})
    expect(image).toMatchObject({ name: 'Web server', kind: 'disk', bytes: 5 * 1024 * 1024 })

    await app.call('domains.create', { spec: { name: 'web', engine: 'embedded', imageId: image?.id ?? '' } })
    await page.getByRole('treeitem', { name: /^web, Off/ }).click()
    const openDialog = async () => {
      await page.getByRole('button', { name: 'More', exact: true }).click()
      await page.getByRole('menuitem', { name: 'Export' }).click()
      await dialog.waitFor()
    }
    await openDialog()
    expect(await dialog.getByRole('textbox', { name: 'File' }).inputValue()).toMatch(/web\.qcow2$/)
    await dialog.getByRole('radio', { name: /^VDI/ }).check()
    expect(await dialog.getByRole('textbox', { name: 'File' }).inputValue()).toMatch(/web\.vdi$/)

    const target = join(files, 'out.vdi')
    await writeFile(target, 'mine')
    await dialog.getByRole('textbox', { name: 'File' }).fill(target)
    await dialog.getByRole('button', { name: 'Export' }).click()
    await dialog.getByRole('alert').getByText("There is already a file 'out.vdi'.").waitFor()
    await dialog.getByLabel('Replace a file that is there').check()
    await dialog.getByRole('button', { name: 'Export' }).click()
    await page
      .getByText(/^web was exported to/)
      .first()
      .waitFor()
    expect(qemuImg('compare', '-f', 'vdi', '-F', 'raw', target, path)).toContain('identical')

    await openDialog()
    await dialog.getByRole('radio', { name: /^OVA/ }).check()
    await dialog.getByRole('textbox', { name: 'File' }).fill(join(files, 'out.ova'))
    await dialog.getByRole('textbox', { name: 'File' }).press('Enter')
    await expect.poll(() => existsSync(join(files, 'out.ova'))).toBe(true)
  })
})
