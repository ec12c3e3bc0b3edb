import type { Page } from 'playwright-core'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
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

/** Where the guest's console ends now. */
async function consoleEnd(): Promise<number> {
  return (await app.call('console.read', { id, offset: 0, maxBytes: 1 })).end
}

async function printed(from: number): Promise<string> {
  return Buffer.from((await app.call('console.read', { id, offset: from })).bytes).toString()
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

/** A page that has just opened may still move the focus to what it opened. */
async function takeFocus(page: Page): Promise<void> {
  const focused = async () => {
    await screenOf(page).click()
    return await page.evaluate(() => document.activeElement?.tagName)
  }
  await expect.poll(focused, SOON).toBe('TEXTAREA')
}

test('questions that the guest asked a terminal long ago are not answered into its shell', async () => {
  const first = await openConsole()
  await run(first, String.raw`printf '\033[6n\033[c\033[>c\033[5n\033]11;?\007'; sleep 1; echo asked"-"it`, 'asked-it')
  await first.keyboard.press('Control+c')
  await first.close()
  // whatever is typed from here on shows up in this file
  const end = await consoleEnd()
  await app.call('console.write', { id, bytes: Buffer.from('stty -echo; cat > /tmp/typed; stty echo\n') })
  await expect.poll(() => shell(app.call, id, 'ls /tmp/typed 2>/dev/null; true'), SOON).toBe('/tmp/typed')
  onTestFinished(() => app.call('console.write', { id, bytes: Buffer.from('\x03stty echo\n') }).then(() => {}))

  const page = await app.open(`/domains/${id}/console`)
  await expect.poll(() => screenOf(page).textContent(), SOON).toContain('asked-it')
  await takeFocus(page)
  await page.keyboard.type('real typing\n')

  await expect.poll(() => shell(app.call, id, 'cat /tmp/typed'), SOON).toBe('real typing')
  expect(await printed(end)).not.toContain('^[[')
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
