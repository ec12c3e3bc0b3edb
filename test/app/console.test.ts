import type { Page } from 'playwright-core'
import { beforeAll, expect, test } from 'vitest'
import { browserAppForFile } from '../support/browser-app'
import { noChromium } from '../support/chromium'
import { shell, startDomain } from '../support/vivarium'

const SOON = { timeout: 30_000 }

const app = browserAppForFile({ starter: true })
let id = ''
beforeAll(async () => {
  if (!noChromium) id = await startDomain(app.call, 'typed-in')
})

const screenOf = (page: Page) => page.getByTestId('console')

async function openConsole(): Promise<Page> {
  const page = await app.open(`/domains/${id}/console`)
  await screenOf(page).click()
  await expect.poll(() => screenOf(page).textContent(), SOON).toMatch(/root@\S+#/)
  return page
}

/** Types a line, and waits for what its run prints at its end. */
async function run(page: Page, line: string, told: string): Promise<void> {
  await page.keyboard.type(`${line}\n`)
  await expect.poll(() => screenOf(page).textContent(), SOON).toContain(told)
}

test('a flood of escape sequences and broken text leaves the page usable', async () => {
  const page = await openConsole()
  await page.keyboard.type('dd if=/dev/urandom bs=4k count=64 2>/dev/null; reset; echo flood"-"over\n')
  await page.getByRole('tab', { name: 'Overview' }).click()
  await page.getByRole('heading', { name: 'Machine' }).waitFor()
  await page.getByRole('tab', { name: 'Console' }).click()
  await screenOf(page).click()

  // what the terminal answered to the noise is at the prompt now
  await page.keyboard.press('Control+c')
  await run(page, 'reset; echo still"-"here', 'still-here')
  expect(await shell(app.call, id, 'echo agent too')).toBe('agent too')
})

test('a guest can name no window and fill no clipboard', async () => {
  const page = await openConsole()
  await page.evaluate(() => {
    Reflect.set(window, 'copied', 0)
    const count = (): void => void Reflect.set(window, 'copied', Number(Reflect.get(window, 'copied')) + 1)
    navigator.clipboard.writeText = async () => count()
    document.addEventListener('copy', count)
  })
  const title = await page.title()
  await run(
    page,
    String.raw`printf '\033]0;hostile\007\033]2;hostile\007\033]52;c;aG9zdGlsZQ==\007'; echo osc"-"done`,
    'osc-done',
  )
  expect(await page.title()).toBe(title)
  expect(await page.evaluate(() => Number(Reflect.get(window, 'copied')))).toBe(0)
})

test('what was printed is kept across tabs and in a new window', async () => {
  const page = await openConsole()
  await run(page, 'clear; echo kept"-"line', 'kept-line')
  await page.getByRole('tab', { name: 'Log' }).click()
  await screenOf(page).waitFor({ state: 'detached' })
  await page.getByRole('tab', { name: 'Console' }).click()
  await expect.poll(() => screenOf(page).textContent(), SOON).toContain('kept-line')

  const other = await openConsole()
  await expect.poll(() => screenOf(other).textContent(), SOON).toContain('kept-line')
})

test('several lines are pasted only after a question', async () => {
  const page = await openConsole()
  const paste = (text: string): Promise<void> =>
    screenOf(page)
      .locator('textarea')
      .evaluate((area, lines) => {
        const clipboardData = new DataTransfer()
        clipboardData.setData('text/plain', lines)
        area.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
      }, text)
  const question = page.getByRole('alertdialog', { name: 'Paste 2 lines?' })

  await paste('echo pasted"-"one\necho pasted"-"two\n')
  await question.getByRole('button', { name: 'Cancel' }).click()
  await question.waitFor({ state: 'detached' })
  await paste('echo one"-"line')
  await page.keyboard.press('Enter')
  await expect.poll(() => screenOf(page).textContent(), SOON).toContain('one-line')
  expect(await screenOf(page).textContent()).not.toContain('pasted')

  await paste('echo pasted"-"one\necho pasted"-"two\n')
  await question.getByRole('button', { name: 'Paste' }).click()
  await expect.poll(() => screenOf(page).textContent(), SOON).toContain('pasted-two')
})
