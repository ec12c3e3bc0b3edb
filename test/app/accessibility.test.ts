import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'

const BOOT_MS = 180_000
const SOON = { timeout: 30_000 }

const app = browserAppForFile({ starter: true })

/** What has the focus, as assistive technology would say it. */
const focused = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const element = document.activeElement
    return (element?.getAttribute('aria-label') ?? element?.textContent ?? '').trim()
  })

/** Tabs to the element of this name; fails when it takes more steps than a window has elements. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let steps = 0; steps < 60; steps++) {
    if (name.test(await focused(page))) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`Tab does not lead to ${name}`)
}

/** Controls without a name, images without a text, and fields without a label. */
function nameless(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const controls = 'button, a[href], input, select, textarea, [role=button], [role=tab], [role=menuitem], [role=tree]'
    const name = (element: Element): string => {
      const by = (element.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id))
      const labels = 'labels' in element ? [...((element as HTMLInputElement).labels ?? [])] : []
      const texts = [...by, ...labels].map((other) => other?.textContent ?? '')
      return [element.getAttribute('aria-label'), ...texts, element.textContent].join('').trim()
    }
    return [...document.querySelectorAll(controls)]
      .filter((element) => element.checkVisibility() && !element.closest('[aria-hidden=true]') && !name(element))
      .map((element) => element.outerHTML.slice(0, 160))
  })
}

test('a guest is tried by keyboard alone, and there is a way out of its console', async () => {
  const page = await app.open()
  await page.getByRole('button', { name: 'Try a guest now' }).first().waitFor()
  await tabTo(page, /^Try a guest now$/)
  await page.keyboard.press('Enter')
  const screen = page.getByTestId('console')
  await expect.poll(() => screen.textContent({ timeout: BOOT_MS }), { timeout: BOOT_MS }).toContain('root@')
  await page.keyboard.type('uname -m\n')
  await expect.poll(() => screen.textContent(), SOON).toContain('i686')

  // Tab is the guest's now; the way out stands above it
  await page.getByText('leaves the console').waitFor()
  await page.keyboard.press('Tab')
  expect(await page.evaluate(() => document.activeElement?.closest('[data-testid=console]') !== null)).toBe(true)
  await page.keyboard.press('Control+Shift+Escape')
  await expect.poll(() => focused(page)).toBe('Console')
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Machine' }).waitFor()

  await page.getByRole('heading', { level: 1 }).first().waitFor()
  await tabTo(page, /^Pause$/)
  await page.keyboard.press('Enter')
  await page.getByRole('main').getByText('Paused').first().waitFor()
})

test('every control has a name, and every view a heading and its landmarks', async () => {
  const page = await app.open()
  await page.getByRole('treeitem').first().click()
  const found: Record<string, string[]> = {}
  const look = async (view: string): Promise<void> => {
    await page.waitForTimeout(300)
    found[view] = await nameless(page)
    expect(await page.getByRole('main').count(), view).toBe(1)
    expect(await page.getByRole('heading', { level: 1 }).count(), view).toBe(1)
    expect(await page.getByRole('navigation').count(), view).toBe(2)
  }
  for (const tab of ['Overview', 'Console', 'Network', 'Snapshots', 'Settings', 'Log']) {
    await page.getByRole('tab', { name: tab }).click()
    await look(tab)
  }
  await page.getByRole('tab', { name: 'Network' }).click()
  await page.getByRole('button', { name: 'Edit policy' }).click()
  await page.getByRole('button', { name: 'Add rule' }).click()
  await page.getByRole('region', { name: 'The chosen rule' }).waitFor()
  await look('Policy')
  await page.getByRole('button', { name: 'Discard' }).click()
  for (const view of ['Networks', 'Images', 'Trash']) {
    await page.getByRole('navigation', { name: 'Vivarium' }).getByRole('button', { name: view }).click()
    await look(view)
  }
  await page.getByRole('link', { name: /welcome/ }).click()
  await look('Welcome')
  for (const button of ['New', 'Import']) {
    await page.getByRole('toolbar', { name: 'Make domains' }).getByRole('button', { name: button }).click()
    await page.getByRole('dialog').waitFor()
    found[button] = await nameless(page)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    // the focus is back where it came from
    await expect.poll(() => focused(page)).toMatch(new RegExp(`^${button}`))
  }
  expect(Object.entries(found).filter(([, names]) => names.length > 0)).toEqual([])
})

const TEXTS = ['--text', '--text-2', '--text-3', '--accent', '--live', '--warn', '--bad', '--rest']
const GROUNDS = ['--frame', '--sidebar', '--surface', '--raised', '--sunken']
const PAIRS: [string, string][] = [
  ...TEXTS.flatMap((text) => GROUNDS.map((ground): [string, string] => [text, ground])),
  ['--on-accent', '--accent'],
  ['--on-accent', '--accent-strong'],
  ['--text', '--accent-soft'],
  ['--text-2', '--accent-soft'],
  ['--live', '--accent-soft'],
  ['--warn', '--warn-soft'],
  ['--bad', '--bad-soft'],
  ['--rest', '--rest-soft'],
  ['--terminal-text', '--terminal'],
]

/** Relative luminance of '#rrggbb' or '#rgb', as WCAG 2 defines it. */
function luminance(written: string): number {
  const colour = /^#[\da-f]{3}$/i.test(written) ? written.replaceAll(/[\da-f]/gi, '$&$&') : written
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

test.each(['light', 'dark'] as const)('text stands out from what it is written on: %s', async (colorScheme) => {
  const page = await app.open('/', { colorScheme })
  const colours = await page.evaluate((names) => {
    const style = getComputedStyle(document.documentElement)
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(name).trim()]))
  }, PAIRS.flat())
  const ratio = ([text, ground]: [string, string]): number => {
    const [a, b] = [luminance(colours[text] ?? ''), luminance(colours[ground] ?? '')]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  }
  // a colour that is written in another way is NaN, and no better than one that is too faint
  const faint = PAIRS.filter((pair) => !(ratio(pair) >= 4.5)).map((pair) => `${pair.join(' on ')}: ${ratio(pair)}`)
  expect(faint).toEqual([])
})

test('at 200 % zoom the console can be typed in, and nothing is cut off at the side', async () => {
  const page = await app.open('/', { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 })
  const domain = (await app.call('domains.list', {}))[0]
  if (domain?.state === 'paused') await app.call('domains.resume', { id: domain.id })
  await page.evaluate((id) => (window.location.hash = `#/domains/${id}/console`), domain?.id ?? '')
  const screen = page.getByTestId('console')
  await screen.click()
  await expect.poll(() => screen.textContent(), SOON).toContain('root@')
  await page.keyboard.type('echo zoom"-"ed\n')
  await expect.poll(() => screen.textContent(), SOON).toContain('zoom-ed')
  const box = await screen.boundingBox()
  expect(box?.height).toBeGreaterThanOrEqual(120)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(640)
  await page.getByText('leaves the console').waitFor()
})
