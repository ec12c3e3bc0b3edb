// What the scripts need to know of, or put right on, this machine.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './root.mjs'
import { isInstalled } from './stamps.mjs'

/** Ends with a message where this Node is too old for Vivarium. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return
  console.error(`Vivarium needs Node 20.19 or newer; this is ${process.version}.`)
  console.error('Install a current Node (nodejs.org, nvm or your package manager) and try again.')
  process.exit(1)
}

/** Installs npm packages when the lockfile asks for others than there are. */
export function installPackages() {
  if (isInstalled()) return
  console.log(
    'Installing npm packages: node_modules is missing or not what package-lock.json asks for. This takes a minute or two.',
  )
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  // what npm warns of (engines that packages of packages would like) is nothing that a newcomer can act on
  const { status, error } = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...ownHeaders(), npm_config_update_notifier: 'false', ...process.env },
    // Node starts .cmd files through a shell only; the arguments are constants
    shell: process.platform === 'win32',
  })
  if (status !== 0) {
    console.error(`'npm ci' failed${error ? `: ${error.message}` : ''}. Put right what it says above and try again.`)
    process.exit(1)
  }
}

/**
 * Where a native module has to be compiled (its prebuilt binary is on github.com), this Node's own headers, where they
 * are installed beside it, save the download of the same from nodejs.org.
 */
function ownHeaders() {
  const folder = dirname(dirname(process.execPath))
  const file = join(folder, 'include/node/node_version.h')
  if (!existsSync(file)) return {}
  const header = readFileSync(file, 'utf8')
  const number = (name) => new RegExp(`#define NODE_${name}_VERSION (\\d+)`).exec(header)?.[1]
  const version = [number('MAJOR'), number('MINOR'), number('PATCH')].join('.')
  return version === process.versions.node ? { npm_config_nodedir: folder } : {}
}

/** Whether this session can show a window. */
export function hasDisplay() {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY)
}

/** Chromium's sandbox refuses to run as root. */
export const needsNoSandbox = () => process.platform === 'linux' && process.getuid() === 0

/** The Electron binary: from ELECTRON_OVERRIDE_DIST_PATH or the installed package; null when it is not there. */
export function findElectron() {
  const names = { win32: 'electron.exe', darwin: 'Electron.app/Contents/MacOS/Electron' }
  const name = names[process.platform] ?? 'electron'
  const override = process.env.ELECTRON_OVERRIDE_DIST_PATH
  if (override) return existing(join(override, name))
  const pathFile = join(root, 'node_modules/electron/path.txt')
  if (!existsSync(pathFile)) return null
  return existing(join(root, 'node_modules/electron/dist', readFileSync(pathFile, 'utf8')))
}

const existing = (path) => (existsSync(path) ? path : null)
