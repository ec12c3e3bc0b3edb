import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterAll } from 'vitest'

/** Why windows cannot be opened here; '' when they can. */
export const noDisplay: string =
  process.platform !== 'linux' || process.env['DISPLAY'] || onPath('Xvfb') ? '' : 'there is no display and no Xvfb'

/** Environment for programs with windows: the display there is, or an Xvfb of this file of tests. */
export async function displayEnvironment(): Promise<Record<string, string>> {
  if (process.platform !== 'linux' || process.env['DISPLAY']) return {}
  const xvfb = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '1440x900x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  afterAll(() => {
    xvfb.kill()
  })
  const number = await new Promise<string>((resolve, reject) => {
    xvfb.once('error', reject)
    xvfb.once('exit', () => reject(new Error('Xvfb ended')))
    xvfb.stdio[3]?.once('data', (text: Buffer) => resolve(text.toString().trim()))
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
