import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { _electron, type ElectronApplication, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { noDisplay } from './display'

const executable = findElectron()

/** Why the Electron tests cannot run here; '' when they can. */
export const noElectron: string = executable ? noDisplay : 'no Electron runtime (set ELECTRON_OVERRIDE_DIST_PATH)'

/** Chromium's sandbox refuses to run as root. */
export const sandboxFlags: readonly string[] = process.getuid?.() === 0 ? ['--no-sandbox'] : []

export interface ElectronRun {
  app: ElectronApplication
  page: Page
}

/** Starts the built application on the data folder `home`; it is closed when the test ends. */
export async function launchElectron(home: string, env: Record<string, string>): Promise<ElectronRun> {
  const app = await _electron.launch({
    executablePath: executable ?? '',
    args: [...sandboxFlags, resolve('.')],
    env: { ...definedEnvironment(), VIVARIUM_HOME: home, VIVARIUM_UNATTENDED: 'force-off', ...env },
  })
  onTestFinished(() => app.close().catch(() => {}))
  return { app, page: await app.firstWindow() }
}

export function definedEnvironment(): Record<string, string> {
  const entries = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return Object.fromEntries(entries)
}

function findElectron(): string | null {
  const name =
    { win32: 'electron.exe', darwin: 'Electron.app/Contents/MacOS/Electron' }[process.platform as string] ?? 'electron'
  const pathFile = resolve('node_modules/electron/path.txt')
  const installed = existsSync(pathFile) ? join('node_modules/electron/dist', readFileSync(pathFile, 'utf8')) : null
  const override = process.env['ELECTRON_OVERRIDE_DIST_PATH']
  const path = override ? join(override, name) : installed
  return path && existsSync(path) ? resolve(path) : null
}
