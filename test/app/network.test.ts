import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connectClient } from '../../src-main/contract'
import { connectLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { displayEnvironment } from '../support/display'
import { launchElectron, noElectron } from '../support/electron-app'
import { freePort, HAS_ADDRESS, region, serve, undo, wget } from '../support/network-page'
import { seedStarter } from '../support/starter'
import { temporaryFolder } from '../support/temporary-folder'
import { exec, shell, startDomain } from '../support/vivarium'

const SOON = { timeout: 30_000 }
/** An address for documentation, where nobody answers. */
const NOBODY = '203.0.113.7'
const PCAPNG_MAGIC = 0x0a0d0d0a
/** Where a guest sees the host. */
const GATEWAY = '10.86.0.1'

describe('in real Chromium', () => {
  const app = browserAppForFile({ starter: true })
  let id = ''
  let other = ''
  beforeAll(async () => {
    if (noChromium) return
    id = await startDomain(app.call, 'watched')
    other = await startDomain(app.call, 'neighbour', {
      connections: [{ mode: 'segment', segment: 'lab', plugged: true }],
    })
    await shell(app.call, id, HAS_ADDRESS)
  })
  beforeEach(async () => {
    if (noChromium) return
    await app.call('policy.set', { id, policy: {} })
    await app.call('network.forgetOnce', { id })
  })

  test('what is blocked is shown as it happens, can be allowed once, and forgotten', async () => {
    const port = await serve('let in')
    const url = `http://${GATEWAY}:${port}/`
    const page = await app.open(`/domains/${id}/network`)
    await region(page, 'Policy').getByText('Offline · No rules').waitFor()

    expect((await wget(app.call, id, url)).exitCode).not.toBe(0)
    const row = region(page, 'Blocked').getByRole('listitem', { name: `TCP to ${GATEWAY}:${port}` })
    await row.getByText('default deny').waitFor()
    await row.getByRole('button', { name: /^Allow once/ }).click()
    const once = page.getByRole('group', { name: 'Allowed once' })
    await once.getByText(String(port)).waitFor()
    expect(await wget(app.call, id, url)).toMatchObject({ exitCode: 0, stdout: 'let in' })

    const flow = region(page, 'Connections of the guest').getByRole('row', { name: new RegExp(String(port)) })
    await flow.first().waitFor()
    await once.getByRole('button', { name: 'Forget' }).click()
    await once.waitFor({ state: 'detached' })
    expect((await wget(app.call, id, url)).exitCode).not.toBe(0)
  })

  test('a template holds at once, and Undo brings back what was', async () => {
    const page = await app.open(`/domains/${id}/network`)
    await region(page, 'Policy')
      .getByRole('radio', { name: /^Web only/ })
      .click()
    await expect.poll(() => app.call('policy.get', { id }).then(({ template }) => template), SOON).toBe('web')
    await undo(page).click()
    await expect.poll(() => app.call('policy.get', { id }).then(({ template }) => template), SOON).toBe('offline')
    await expect
      .poll(() =>
        region(page, 'Policy')
          .getByRole('radio', { name: /^Offline/ })
          .isChecked(),
      )
      .toBe(true)
  })

  test('a port of the host leads to the guest until it is removed; a taken one says so', async () => {
    const taken = await serve('mine')
    const page = await app.open(`/domains/${id}/network`)
    const forwards = region(page, 'Port forwards')
    await forwards.getByLabel('Host port').fill(String(taken))
    await forwards.getByLabel('Guest port').fill('8000')
    await forwards.getByRole('button', { name: 'Add', exact: true }).click()
    await forwards.getByRole('alert').getByText(String(taken)).waitFor()

    const port = await freePort()
    await forwards.getByText('Advanced').click()
    await forwards.getByLabel('Address of the host').fill('0.0.0.0')
    await forwards.getByText('whoever can reach this host').waitFor()
    await forwards.getByLabel('Address of the host').fill('127.0.0.1')
    await forwards.getByLabel('Host port').fill(String(port))
    await forwards.getByLabel('Host port').press('Enter')
    await forwards.getByText('Listening').waitFor()

    await shell(app.call, id, 'mkdir -p /www && echo from the guest > /www/index.html && httpd -p 8000 -h /www')
    const answer = () => fetch(`http://127.0.0.1:${port}/index.html`).then((reply) => reply.text())
    await expect.poll(answer, SOON).toBe('from the guest\n')
    await forwards.getByRole('button', { name: `Remove the forward of TCP port ${port}` }).click()
    await forwards.getByText('Listening').waitFor({ state: 'detached' })
    await expect(answer()).rejects.toThrow()
    await undo(page).click()
    await forwards.getByText('Listening').waitFor()
    expect(await answer()).toBe('from the guest\n')
    await app.call('network.removeForward', { id, key: `tcp/127.0.0.1:${port}` })
  })

  test('the chart and the rates move with what the guest does, and the cable can be pulled', async () => {
    const page = await app.open(`/domains/${id}/network`)
    const card = page.getByRole('listitem', { name: 'network card 1' })
    const sends = card.getByText(/^sends/).locator('xpath=..')
    await card.getByRole('group', { name: 'Throughput' }).waitFor()
    const pinging = exec(app.call, id, ['ping', '-c', '12', '-i', '0.5', '-s', '1400', GATEWAY])
    await expect.poll(() => sends.textContent(), SOON).toMatch(/kbit\/s/)
    await expect
      .poll(() => card.getByRole('group', { name: 'Throughput' }).textContent(), SOON)
      .toMatch(/Sent: now \d.*highest \d+(\.\d)? kbit/)
    await pinging

    await card.getByRole('switch', { name: /^Cable/ }).click()
    await card.getByText('Cable out').first().waitFor()
    expect((await exec(app.call, id, ['ping', '-c', '1', '-W', '2', GATEWAY])).exitCode).not.toBe(0)
    await card.getByRole('switch', { name: /^Cable/ }).click()
    await expect
      .poll(() => exec(app.call, id, ['ping', '-c', '1', '-W', '2', GATEWAY]).then(({ exitCode }) => exitCode), SOON)
      .toBe(0)
  })

  test('a capture lists its packets as they come, and is downloaded as pcapng', async () => {
    const page = await app.open(`/domains/${id}/network`)
    await page.getByRole('button', { name: /^Capture the packets of network card 1/ }).click()
    const capture = page.getByRole('region', { name: /^Capture of watched/ })
    await capture.getByText('capturing').waitFor()
    await exec(app.call, id, ['ping', '-c', '2', GATEWAY])
    await exec(app.call, id, ['wget', '-O', '-', `http://${NOBODY}/`])
    const packets = capture.getByRole('table')
    await packets
      .getByRole('row', { name: /ICMP.*request/i })
      .first()
      .waitFor()
    await packets
      .getByRole('row', { name: new RegExp(`TCP.*${NOBODY}|${NOBODY}.*TCP`) })
      .first()
      .waitFor()
    await capture.getByRole('button', { name: 'Stop' }).click()
    await capture.getByText('ended').waitFor()

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      capture.getByRole('button', { name: /^Download/ }).click(),
    ])
    expect(download.suggestedFilename()).toMatch(/\.pcapng$/)
    const file = await readFile(await download.path())
    expect(file.readUInt32BE(0)).toBe(PCAPNG_MAGIC)
    expect(file.includes(Buffer.from([203, 0, 113, 7]))).toBe(true)
    await capture.getByRole('button', { name: /^Remove the capture/ }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click()
    await capture.waitFor({ state: 'detached' })
  })

  test('the networks of the host: who is where, mirrors, and captures of a whole segment', async () => {
    const page = await app.open('/networks')
    await region(page, 'Gateway network')
      .getByRole('row', { name: /watched.*Connected/ })
      .first()
      .waitFor()
    await region(page, 'Ports of lab')
      .getByRole('row', { name: /neighbour.*Connected.*10\.87\./ })
      .waitFor()
    await page.getByRole('img', { name: /lab: neighbour\./ }).waitFor()

    await page.getByRole('button', { name: 'Add mirror…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Copies the frames of').selectOption({ label: 'watched, card 1' })
    await dialog.getByLabel('To', { exact: true }).selectOption({ label: 'neighbour, card 1' })
    await dialog.getByRole('button', { name: 'Add' }).click()
    await dialog.waitFor({ state: 'detached' })
    const mirror = page.getByRole('list', { name: 'Mirrors' }).getByRole('listitem')
    await exec(app.call, id, ['ping', '-c', '2', GATEWAY])
    await expect.poll(() => mirror.textContent(), SOON).toMatch(/Active · [1-9]\d* frames/)
    await mirror.getByRole('button', { name: /^Remove the mirror/ }).click()
    await mirror.waitFor({ state: 'detached' })

    await page.getByRole('button', { name: 'Capture…' }).click()
    await dialog.getByLabel('Of', { exact: true }).selectOption({ label: 'lab' })
    await dialog.getByRole('button', { name: 'Start' }).click()
    await dialog.waitFor({ state: 'detached' })
    const capture = page.getByRole('region', { name: /^Capture of .*lab/ })
    await capture.getByRole('button', { name: 'Show packets' }).click()
    await exec(app.call, other, ['ping', '-c', '2', '10.87.0.1'])
    await capture.getByRole('row', { name: /ICMP/ }).first().waitFor()
    await capture.getByRole('button', { name: 'Stop' }).click()
    await capture.getByText('ended').waitFor()
  })
})

describe('in real Electron', () => {
  beforeEach((context) => context.skip(noElectron !== '', noElectron))
  let display: Record<string, string> = {}
  beforeAll(async () => {
    if (!noElectron) display = await displayEnvironment()
  })
  const ends: (() => void)[] = []
  afterAll(() => ends.forEach((end) => end()))

  test('a rule made from a denial lets the guest through', async () => {
    const home = temporaryFolder()
    await seedStarter(home)
    const { page } = await launchElectron(home, display)
    page.setDefaultTimeout(60_000)
    await page.getByText('Vivarium').first().waitFor()
    const connection = await connectLocal(socketAddress(home))
    ends.push(() => connection.close())
    const { call } = connectClient(connection)
    const id = await startDomain(call, 'boxed')
    await shell(call, id, HAS_ADDRESS)
    const port = await serve('by rule')
    const url = `http://${GATEWAY}:${port}/`

    await page.evaluate((path) => (window.location.hash = path), `#/domains/${id}/network`)
    expect((await wget(call, id, url)).exitCode).not.toBe(0)
    await page.getByRole('button', { name: new RegExp(`^New rule that allows TCP to .*:${port}`) }).click()
    const form = region(page, 'The chosen rule')
    await form.getByText(String(port), { exact: true }).waitFor()
    expect(await form.getByLabel('Name').inputValue()).toBe('Allow host')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('The policy was saved and holds now.').waitFor()
    expect(await wget(call, id, url)).toMatchObject({ exitCode: 0, stdout: 'by rule' })
    await call('domains.forceOff', { id })
  })
})
