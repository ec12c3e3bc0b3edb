import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { DomainView } from '../../src-main/contract'
import { findQemuProgram } from '../../vmm/images/qemu-programs'
import { browserAppForFile } from '../support/browser-app'
import { displayEnvironment } from '../support/display'
import { launchElectron, noElectron } from '../support/electron-app'
import { writeIso } from '../support/image-files'
import { temporaryFolder, temporaryFolderForFile } from '../support/temporary-folder'
import { finish, until } from '../support/vivarium'

const files = temporaryFolderForFile()
let iso = ''
let emulator: string | null = null
beforeAll(async () => {
  iso = await writeIso(files, 'rescue.iso')
  emulator = await findQemuProgram('qemu-system-x86_64')
})
beforeEach((context) => context.skip(emulator === null, 'no QEMU on this host'))

const dialogOf = (page: Page): Locator => page.getByRole('dialog')
const settingsOf = (page: Page): Locator => page.getByRole('tabpanel', { name: 'Settings' })

async function openWizard(page: Page): Promise<Locator> {
  await page.getByRole('toolbar', { name: 'Make domains' }).getByRole('button', { name: 'New' }).click()
  await dialogOf(page).waitFor()
  return dialogOf(page)
}

async function importIso(page: Page): Promise<void> {
  await page.getByRole('toolbar', { name: 'Make domains' }).getByRole('button', { name: 'Import' }).click()
  await page.getByTestId('import-files').setInputFiles([iso])
  await dialogOf(page).getByLabel('Name').fill('Rescue')
  await dialogOf(page).getByRole('button', { name: 'Import' }).click()
  await page.getByText('The image was imported.').first().waitFor()
  await dialogOf(page).waitFor({ state: 'detached' })
}

describe('in real Chromium', () => {
  const app = browserAppForFile({ starter: true })
  let starter = ''
  let disc = ''
  beforeAll(async () => {
    starter = (await finish(app.call, app.call('images.prepareStarter', {}))).resultId
    const task = await finish(app.call, app.call('images.import', { sources: [{ path: iso }], name: 'Rescue' }))
    disc = task.resultId
  })
  // guests of QEMU would go on without their main
  afterEach(async () => {
    for (const { id } of await app.call('domains.list', {})) {
      await app.call('domains.forceOff', { id }).catch(() => undefined)
      await app.call('domains.delete', { id })
    }
  })

  const domain = async (name: string): Promise<DomainView> => {
    const found = (await app.call('domains.list', {})).find((each) => each.name === name)
    if (!found) throw new Error(`there is no ${name}`)
    return found
  }

  /** A domain of the engine for whole systems, off. */
  const whole = (name: string, more: { diskMiB?: number; imageId?: string } = {}) =>
    app.call('domains.create', { spec: { name, engine: 'qemu', imageId: starter, memoryMiB: 256, ...more } })

  test('the wizard suggests what suits the image, and makes what was chosen', async () => {
    const page = await app.open()
    const wizard = await openWizard(page)
    expect(await wizard.getByRole('radio', { name: /Embedded/ }).isChecked()).toBe(true)

    await wizard.getByText('Rescue').click()
    expect(await wizard.getByRole('radio', { name: /QEMU/ }).isChecked()).toBe(true)
    expect(await wizard.getByLabel('Disk to install to', { exact: true }).inputValue()).toBe('20')
    await wizard.getByLabel('Name').fill('installer')
    await wizard.getByText('Advanced').click()
    await wizard.getByLabel('Processors', { exact: true }).fill('99')
    await wizard.getByText('From 1 to 16.').waitFor()
    await wizard.getByLabel('Processors', { exact: true }).fill('2')
    await wizard.getByLabel('Firmware', { exact: true }).selectOption('uefi')
    await wizard.getByRole('button', { name: 'Boot from CD drive earlier' }).press('Enter')
    await wizard.getByRole('button', { name: 'Add a network card' }).click()
    await wizard.getByLabel('Model of network card 2').selectOption('e1000')
    await wizard.getByRole('button', { name: 'Create', exact: true }).click()

    await page.getByRole('treeitem', { name: /^installer, Off/ }).waitFor()
    expect(await domain('installer')).toMatchObject({
      engine: 'qemu',
      imageId: disc,
      memoryMiB: 2048,
      diskMiB: 20_480,
      cpus: 2,
      firmware: 'uefi',
      bootOrder: ['cdrom', 'disk'],
      nics: [{ model: 'virtio' }, { model: 'e1000' }],
    })
  })

  test('settings and disks of a domain that is off', async () => {
    const { id } = await whole('server', { diskMiB: 1024 })
    const page = await app.open(`/domains/${id}/settings`)
    const settings = settingsOf(page)

    await settings.getByLabel('Processors').fill('2')
    await settings.getByLabel('Disk bus').selectOption('sata')
    await settings.getByRole('button', { name: 'Save' }).click()
    await settings.getByRole('region', { name: 'Unsaved changes' }).waitFor({ state: 'detached' })
    expect(await domain('server')).toMatchObject({ cpus: 2, diskBus: 'sata' })

    await settings.getByRole('button', { name: 'Add disk…' }).click()
    await dialogOf(page).getByLabel('Size', { exact: true }).fill('2')
    await dialogOf(page).getByRole('button', { name: 'Add' }).click()
    const added = settings.getByRole('listitem', { name: 'disk1' })
    await added.getByText('2 GiB').waitFor()
    await settings.getByRole('button', { name: 'Grow disk1' }).click()
    await dialogOf(page).getByLabel('New size', { exact: true }).fill('3')
    await dialogOf(page).getByRole('button', { name: 'Grow' }).click()
    await added.getByText('3 GiB').waitFor()
    await settings.getByRole('button', { name: 'Detach disk1' }).click()
    await added.getByText('detached').waitFor()

    await settings.getByRole('button', { name: 'Add CD drive…' }).click()
    await dialogOf(page).getByRole('button', { name: 'Add' }).click()
    await settings.getByRole('button', { name: 'Insert a CD into disk2' }).click()
    await dialogOf(page).getByRole('button', { name: 'Insert' }).click()
    await settings.getByRole('listitem', { name: 'disk2' }).getByText('Rescue').waitFor()
    await settings.getByRole('button', { name: 'Eject disk2' }).click()
    await settings.getByRole('listitem', { name: 'disk2' }).getByText('Empty').waitFor()

    await settings.getByRole('button', { name: 'Remove disk1' }).click()
    await page.getByRole('alertdialog').getByText('Snapshots keep').waitFor()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click()
    await added.waitFor({ state: 'detached' })
    expect((await domain('server')).disks).toMatchObject([{ id: 'disk2', kind: 'cdrom', imageId: '' }])

    await settings.getByText('Command line', { exact: true }).click()
    expect(await settings.locator('pre').textContent()).toMatch(/qemu-system-x86_64 .*-smp 2/)
  })

  test('a template is only cloned, with linked disks', async () => {
    const { id } = await whole('golden', { diskMiB: 64 })
    const page = await app.open(`/domains/${id}/settings`)

    await settingsOf(page)
      .getByRole('checkbox', { name: /^Template/ })
      .check()
    await settingsOf(page).getByRole('button', { name: 'Save' }).click()
    const verbs = page.getByRole('toolbar', { name: /^Verbs for/ })
    await expect
      .poll(() => verbs.getByRole('button', { name: 'Start' }).getAttribute('aria-description'))
      .toMatch(/template/)
    await verbs.getByRole('button', { name: 'Clone' }).click()
    expect(
      await dialogOf(page)
        .getByRole('radio', { name: /^Linked/ })
        .isChecked(),
    ).toBe(true)
    await dialogOf(page).getByRole('button', { name: 'Clone' }).click()

    await page.getByRole('treeitem', { name: /^golden-clone-1, Off/ }).waitFor()
    expect(await domain('golden-clone-1')).toMatchObject({ template: false, diskMiB: 64 })
  })

  test('limits, facts and a snapshot of the disks while the guest runs', async () => {
    const { id } = await whole('busy', { diskMiB: 256 })
    await finish(app.call, app.call('domains.start', { id }))
    await until(app.call, id, ({ agent }) => agent === 'ready')
    const page = await app.open(`/domains/${id}`)

    await page.getByText(/^QEMU \d+\.\d+ · \w+$/).waitFor()
    const writing = page.getByRole('group', { name: 'Writing' })
    await writing.getByText(/\d B\/s/).waitFor()
    await writing.getByRole('spinbutton').fill('2')
    await writing.getByRole('spinbutton').press('Enter')
    await expect.poll(async () => (await domain('busy')).diskLimits.writeBytes).toBe(2e6)
    await page.getByLabel(/times the limit/).fill('3')
    await page.getByLabel(/times the limit/).press('Enter')
    await expect.poll(async () => (await domain('busy')).diskLimits.burstTimes).toBe(3)
    await page.getByRole('button', { name: 'Remove limits' }).click()
    await expect.poll(async () => (await domain('busy')).diskLimits.writeBytes).toBe(0)
    expect(await page.getByRole('group', { name: 'Instructions per second' }).count()).toBe(0)

    await page.getByRole('slider', { name: 'Memory now' }).press('Home')
    await page.getByText(/asked for 64 MiB|less than the guest uses/i).waitFor()

    const verbs = page.getByRole('toolbar', { name: /^Verbs for/ })
    await verbs.getByRole('button', { name: 'Snapshot' }).click()
    await dialogOf(page).getByLabel('Name').fill('Disks alone')
    await dialogOf(page)
      .getByRole('checkbox', { name: /^Include memory/ })
      .uncheck()
    await dialogOf(page).getByRole('button', { name: 'Take snapshot' }).click()
    await page.getByRole('tab', { name: 'Snapshots' }).click()
    await page.getByRole('treeitem', { name: /Disks alone/ }).waitFor()
    expect(await app.call('snapshots.list', { id })).toMatchObject([{ name: 'Disks alone', live: false }])

    await page.getByRole('tab', { name: 'Settings' }).click()
    expect(await settingsOf(page).getByLabel('Processors').isDisabled()).toBe(true)
    await settingsOf(page).getByText('can be changed while the domain is off').waitFor()
  })
})

describe('in real Electron', () => {
  beforeEach((context) => context.skip(noElectron !== '', noElectron))

  test('a host without QEMU is told how to get it, and Try again finds it', async () => {
    const programs = join(temporaryFolder(), 'bin')
    await mkdir(programs)
    const display = await displayEnvironment()
    const { page } = await launchElectron(temporaryFolder(), { ...display, VIVARIUM_QEMU: programs })
    page.setDefaultTimeout(30_000)
    await importIso(page)

    const wizard = await openWizard(page)
    await wizard.getByText('QEMU is not available here').waitFor()
    await wizard.getByText(/^QEMU is not installed on this host.*Install QEMU/).waitFor()
    expect(await wizard.getByLabel('Disk to install to', { exact: true }).inputValue()).toBe('0')
    for (const name of ['qemu-system-x86_64', 'qemu-img'] as const) {
      const real = await findQemuProgram(name)
      if (real !== null) await symlink(real, join(programs, name))
    }
    await wizard.getByRole('button', { name: 'Try again' }).click()

    await wizard.getByRole('radio', { name: /QEMU/ }).waitFor()
    expect(await wizard.getByRole('radio', { name: /QEMU/ }).isChecked()).toBe(true)
    expect(await wizard.getByLabel('Disk to install to', { exact: true }).inputValue()).toBe('20')
  })
})
