import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'
import { findCommand } from './display'
import { sandboxFlags } from './electron-app'

const KNOWN = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]
const executable =
  process.env['CHROME_PATH'] ??
  findCommand('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable') ??
  KNOWN.find((path) => existsSync(path)) ??
  null

/** Why the browser tests cannot run here; '' when they can. */
export const noChromium: string = executable ? '' : 'no Chromium or Chrome (set CHROME_PATH)'

/** A headless Chromium for one file of tests. */
export async function launchChromium(): Promise<Browser> {
  // playwright ends it with this process
  return await chromium.launch({ executablePath: executable ?? '', args: [...sandboxFlags], headless: true })
}
