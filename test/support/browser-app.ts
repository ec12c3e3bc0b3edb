import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest'
import { launchChromium, noChromium } from './chromium'
import { startMain, type MainProcess } from './main-process'
import { seedStarter } from './starter'
import { temporaryFolderForFile } from './temporary-folder'
import type { Call } from './vivarium'

export interface BrowserApp {
  /** A client of the main, beside the pages. */
  call: Call
  /** A new window on the interface; what goes wrong in its scripts fails the test. */
  open(path?: string, options?: BrowserContextOptions): Promise<Page>
}

/** A headless main and a real browser for a whole file of tests; to be called at its top. */
export function browserAppForFile({ starter = false } = {}): BrowserApp {
  const home = temporaryFolderForFile()
  let main: MainProcess | undefined
  let browser: Browser | undefined
  beforeAll(async () => {
    if (noChromium) return
    if (starter) await seedStarter(home)
    main = await startMain(home)
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await main?.end()
  })
  beforeEach((context) => context.skip(noChromium !== '', noChromium))

  const there = <T>(thing: T | undefined): T => {
    if (!thing) throw new Error('the main and the browser are there only while tests run')
    return thing
  }

  return {
    call: (name, args) => there(main).call(name, args),
    async open(path = '/', options = {}) {
      const context = await there(browser).newContext({ viewport: { width: 1280, height: 800 }, ...options })
      const page = await context.newPage()
      const complaints: string[] = []
      page.on('pageerror', (error) => complaints.push(error.message))
      onTestFinished(async () => {
        await context.close()
        expect(complaints).toEqual([])
      })
      page.setDefaultTimeout(30_000)
      const { url } = await there(main).call('app.show', {})
      await page.goto(url)
      await page.getByRole('navigation', { name: 'Vivarium' }).waitFor()
      // only the path after the '#': the page keeps its session
      if (path !== '/') await page.evaluate((next) => (window.location.hash = next), `#${path}`)
      return page
    },
  }
}
