// What the scripts need to know of, or put right on, this machine.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
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
  const { status, error } = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
    // Node starts .cmd files through a shell only; the arguments are constants
    shell: process.platform === 'win32',
  })
  if (status !== 0) {
    console.error(`'npm ci' failed${error ? `: ${error.message}` : ''}. Put right what it says above and try again.`)
    process.exit(1)
  }
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
