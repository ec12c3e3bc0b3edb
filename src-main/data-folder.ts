import { chmodSync, lstatSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { VmmError } from '../vmm/model/errors'

/**
 * Where Vivarium keeps everything of this person: `VIVARIUM_HOME`, or the platform's usual place. An absolute path.
 */
export function dataFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform = process.platform,
  home = homedir(),
): string {
  if (env['VIVARIUM_HOME']) return resolve(env['VIVARIUM_HOME'])
  if (platform === 'win32') return join(env['APPDATA'] ?? join(home, 'AppData', 'Roaming'), 'Vivarium')
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'Vivarium')
  const xdg = env['XDG_DATA_HOME'] ?? ''
  // the XDG specification says that a relative path is to be ignored
  return join(isAbsolute(xdg) ? xdg : join(home, '.local', 'share'), 'vivarium')
}

/** Makes `folder` if it is missing, and makes sure that it is ours and nobody else can look in. */
export function ensurePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (process.platform === 'win32') return
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new VmmError('denied', `'${folder}' is not a folder of yours, so Vivarium does not use it.`, {
      hint: 'Remove it, or set VIVARIUM_HOME to a folder of your own.',
    })
  }
  if ((found.mode & 0o077) !== 0) chmodSync(folder, 0o700)
}
