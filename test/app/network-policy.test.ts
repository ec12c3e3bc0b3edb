import { beforeAll, beforeEach, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { region } from '../support/network-page'
import { finish } from '../support/vivarium'

const SOON = { timeout: 30_000 }
const app = browserAppForFile({ starter: true })
let id = ''
beforeAll(async () => {
  if (noChromium) return
  const { resultId: imageId } = await finish(app.call, app.call('images.prepareStarter', {}))
  id = (await app.call('domains.create', { spec: { name: 'watched', engine: 'embedded', imageId } })).id
  const segment = { mode: 'segment' as const, segment: 'lab' }
  await app.call('domains.create', { spec: { name: 'neighbour', engine: 'embedded', imageId, connections: [segment] } })
})
beforeEach(async () => {
  if (!noChromium) await app.call('policy.set', { id, policy: {} })
})

test('a policy is edited as rules and as text, and asked what would happen', async () => {
  const page = await app.open(`/domains/${id}/network`)
  await region(page, 'Policy').getByRole('button', { name: 'Edit policy' }).click()
  await page.getByRole('heading', { name: 'Policy of watched' }).waitFor()
  await page.getByRole('button', { name: 'Add rule' }).click()
  const form = region(page, 'The chosen rule')
  await form.getByLabel('Name').fill('Mirrors')
  await form.getByLabel('Protocol').selectOption('tcp')
  await form.getByRole('button', { name: 'Remove the peer any' }).click()
  await form.getByLabel('Peers').fill('*.debian.org,')
  await form.getByLabel('Peers').press('Enter')
  await form.getByLabel('Ports').fill('nonsense')
  await form.getByLabel('Ports').press('Enter')
  await form.getByText('“nonsense” is no port').waitFor()
  expect(await page.getByRole('button', { name: 'Save' }).getAttribute('aria-description')).toMatch(/Ports are/)
  await form.getByRole('button', { name: 'Remove the port nonsense' }).click()
  await form.getByLabel('Ports').fill('443')
  await form.getByLabel('Ports').press('Enter')

  const question = region(page, 'What would happen to…?')
  await question.getByLabel('With whom').fill('deb.debian.org')
  await question.getByLabel('With whom').press('Enter')
  await question.getByText('Allowed', { exact: true }).waitFor()
  await page.getByRole('option', { name: /Mirrors.*decides/ }).waitFor()
  await question.getByLabel('With whom').fill('example.org')
  await question.getByLabel('With whom').press('Enter')
  await question.getByText('Denied', { exact: true }).waitFor()

  await page.getByRole('tab', { name: 'Text' }).click()
  const text = page.getByLabel('Policy as JSON')
  const written = await text.inputValue()
  await text.fill(written.replace('"tcp",', '"tcp"'))
  const after = written.split('\n').findIndex((line) => line.includes('"tcp",')) + 2
  await page.getByRole('button', { name: new RegExp(`^Line ${after}, column \\d+`) }).click()
  await text.fill(written.replace('Mirrors', 'Debian'))
  await page.getByText('One JSON document').waitFor()
  await page.getByRole('tab', { name: 'Network' }).click()
  expect(await form.getByLabel('Name').inputValue()).toBe('Debian')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect
    .poll(() => app.call('policy.get', { id }).then(({ policy }) => policy.network.rules), SOON)
    .toMatchObject([{ name: 'Debian', protocol: 'tcp', peers: ['*.debian.org'], ports: ['443'] }])
})

test('unsaved changes are asked about, and rules are moved by keys', async () => {
  const rule = (name: string) => ({ name, action: 'allow' as const, peers: [`${name}.example.org`] })
  await app.call('policy.set', { id, policy: { network: { rules: [rule('one'), rule('two')] } } })
  const page = await app.open(`/domains/${id}/policy?rule=2`)
  await page.getByRole('option', { name: /two/, selected: true }).focus()
  await page.keyboard.press('Alt+ArrowUp')
  await page.getByRole('option', { name: /^1.*two/, selected: true }).waitFor()
  await page.getByRole('link', { name: /watched, Network/ }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('option', { name: /^1.*two/ }).waitFor()
  await page.getByRole('link', { name: /watched, Network/ }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Discard changes' }).click()
  await page.getByRole('tab', { name: 'Network', selected: true }).waitFor()
  expect((await app.call('policy.get', { id })).policy.network.rules.map(({ name }) => name)).toEqual(['one', 'two'])
})

test('a new domain has the policy and the segment that were chosen', async () => {
  const page = await app.open()
  await page.getByRole('toolbar', { name: 'Make domains' }).getByRole('button', { name: 'New' }).click()
  const wizard = page.getByRole('dialog')
  await wizard.getByLabel('Name').fill('chosen')
  expect(await wizard.getByRole('radio', { name: /^Offline/ }).isChecked()).toBe(true)
  await wizard.getByRole('radio', { name: /^Segment only/ }).click()
  await wizard.getByText('Advanced').click()
  await wizard.getByLabel('Network of the first network card').selectOption('segment')
  await wizard.getByLabel('Segment of the first network card').fill('lab')
  await wizard.getByLabel('Segment of the first network card').press('Tab')
  await wizard.getByRole('button', { name: 'Create', exact: true }).click()
  await page.getByRole('treeitem', { name: /^chosen/ }).waitFor()
  const made = (await app.call('domains.list', {})).find(({ name }) => name === 'chosen')!
  expect(await app.call('policy.get', { id: made.id })).toMatchObject({ template: 'segment' })
  expect((await app.call('network.get', { id: made.id })).nics).toMatchObject([{ mode: 'segment', segment: 'lab' }])
})
