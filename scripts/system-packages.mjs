// What the application tests need besides npm packages, where it can be had without asking.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './root.mjs'

/** Command → Debian package. */
const NEEDED = { chromium: 'chromium', Xvfb: 'xvfb', xauth: 'xauth' }

/** Installs what is missing on Debian and Ubuntu as root; elsewhere the tests that need it are skipped and say so. */
export function installSystemPackages() {
  const missing = Object.keys(NEEDED).filter((command) => !onPath(command))
  if (missing.length === 0 || !isDebian() || process.getuid() !== 0) return
  const packages = missing.map((command) => NEEDED[command])
  const log = join(root, '.vite/apt.log')
  mkdirSync(join(root, '.vite'), { recursive: true })
  console.log(`Installing for the application tests: ${packages.join(', ')} (output in .vite/apt.log).`)
  const output = openSync(log, 'w')
  const apt = (...args) =>
    spawnSync('apt-get', args, {
      stdio: ['ignore', output, output],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0
  const done = apt('update') && apt('install', '-y', '--no-install-recommends', ...packages)
  if (!done) console.log('That failed; the tests that need it are skipped.')
}

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => folder && existsSync(join(folder, command)))
}

function isDebian() {
  return process.platform === 'linux' && existsSync('/etc/debian_version') && existsSync('/etc/os-release')
    ? /debian/.test(readFileSync('/etc/os-release', 'utf8'))
    : false
}
