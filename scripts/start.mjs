// `npm start`: installs and builds what is missing, then opens Vivarium in Electron, or else in a browser.
import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { buildIfNeeded } from './build.mjs'
import { findElectron, hasDisplay, installPackages, needsNoSandbox, requireNode } from './environment.mjs'
import { root } from './root.mjs'

const DOWNLOAD_TIMEOUT_MS = 5 * 60_000
/** Electron that cannot run at all (a missing library, no usable display) ends sooner than this. */
const EARLY_MS = 10_000
const PARENT_CHECK_MS = 1000

requireNode()
installPackages()
await buildIfNeeded()

const options = process.argv.slice(2)
if (options.includes('--browser')) openInBrowser()
else if (!hasDisplay()) openInBrowser('There is no display here.')
else {
  const electron = findElectron() ?? downloadElectron()
  if (electron) openInElectron(electron)
  else openInBrowser('Electron could not be downloaded.')
}

/** Gets the binary that belongs to the installed package; null when that fails. */
function downloadElectron() {
  console.log('Downloading Electron (about 110 MB, once).')
  spawnSync(process.execPath, [join(root, 'node_modules/electron/install.js')], {
    stdio: ['ignore', 'inherit', 'ignore'],
    timeout: DOWNLOAD_TIMEOUT_MS,
  })
  return findElectron()
}

function openInElectron(electron) {
  const flags = needsNoSandbox() ? ['--no-sandbox'] : []
  if (flags.length > 0) console.log("Running as root, so without Chromium's sandbox: better use an ordinary account.")
  const started = Date.now()
  const child = spawn(electron, [...flags, root, ...options], { stdio: 'inherit' })
  passSignals(child)
  child.once('error', (error) => openInBrowser(`Electron could not be started: ${error.message}.`))
  child.once('exit', (code, signal) => {
    const crashed = code === 127 || ['SIGTRAP', 'SIGABRT', 'SIGSEGV'].includes(signal)
    if (crashed && Date.now() - started < EARLY_MS) openInBrowser(`Electron does not run here (${signal ?? code}).`)
    else process.exit(code ?? 1)
  })
}

/** Serves the same interface to a browser on this machine, and says why. */
function openInBrowser(reason) {
  if (reason) console.log(`${reason} Vivarium's interface is served to your browser instead.`)
  const args = [join(root, '.vite/build/headless.js'), ...options.filter((option) => option !== '--browser')]
  const child = spawn(process.execPath, args, { stdio: 'inherit' })
  passSignals(child)
  child.once('exit', (code) => process.exit(code ?? 1))
}

/** The child closes what it has open; this script waits for it. (Ctrl+C reaches both by itself.) */
function passSignals(child) {
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  // a signal that ends npm ends the shell between, which passes nothing on
  const parent = process.ppid
  if (!process.env.npm_lifecycle_event) return
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    child.kill('SIGTERM')
  }, PARENT_CHECK_MS)
  watch.unref()
}
