import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

/** Why windows cannot be opened here; '' when they can. */
export const noDisplay: string =
  process.platform !== 'linux' || process.env['DISPLAY'] || onPath('Xvfb') ? '' : 'there is no display and no Xvfb'

/** Environment for programs with windows: the display there is, or an Xvfb that ends with this file of tests. */
export async function displayEnvironment(): Promise<Record<string, string>> {
  if (process.platform !== 'linux' || process.env['DISPLAY']) return {}
  const guard = spawn(process.execPath, [resolve('test/support/display-guard.mjs')], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const number = await new Promise<string>((found, failed) => {
    guard.once('error', failed)
    guard.once('exit', () => failed(new Error('Xvfb ended')))
    guard.stdout.once('data', (text: Buffer) => found(text.toString().trim()))
  })
  return { DISPLAY: `:${number}` }
}

/** The first of `commands` that is installed, as a path; null when none is. */
export function findCommand(...commands: string[]): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)
  const paths = commands.flatMap((command) => folders.map((folder) => join(folder, command)))
  return paths.find((path) => existsSync(path)) ?? null
}

function onPath(command: string): boolean {
  return findCommand(command) !== null
}
