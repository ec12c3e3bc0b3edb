import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FuseV1Options, getCurrentFuseWire } from '@electron/fuses'
import { chromium } from 'playwright-core'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { displayEnvironment } from '../support/display'
import { definedEnvironment, noElectron, sandboxFlags } from '../support/electron-app'
import { vivarium } from '../support/command-line'
import { seedStarter } from '../support/starter'
import { writeStoredZip } from '../support/stored-zip'
import { temporaryFolder, temporaryFolderForFile } from '../support/temporary-folder'

const runtime = process.env['ELECTRON_OVERRIDE_DIST_PATH']
const linux = process.platform === 'linux' && process.arch === 'x64'
const missing = noElectron || (runtime && linux ? '' : 'needs a Linux x64 runtime in ELECTRON_OVERRIDE_DIST_PATH')

const work = temporaryFolderForFile()
const application = join(work, 'out', 'Vivarium-linux-x64')
let display: Record<string, string> = {}

beforeAll(async () => {
  if (missing) return
  display = await displayEnvironment()
  packageApplication()
})
beforeEach((context) => context.skip(missing !== '', missing))

/** Runs `electron-forge package` on a zip of the test runtime, named as the release that forge asks for. */
function packageApplication(): void {
  const { version } = JSON.parse(readFileSync('node_modules/electron/package.json', 'utf8')) as { version: string }
  mkdirSync(join(work, 'zips'))
  writeStoredZip(runtime!, join(work, 'zips', `electron-v${version}-linux-x64.zip`))
  const { status, stderr } = spawnSync(
    process.execPath,
    [resolve('node_modules/@electron-forge/cli/dist/electron-forge.js'), 'package'],
    {
      env: {
        ...process.env,
        ELECTRON_ZIP_DIR: join(work, 'zips'),
        VIVARIUM_PACKAGE_FOLDER: join(work, 'out'),
        // its unpacking folder, which is then removed with the rest
        TMPDIR: work,
      },
      encoding: 'utf8',
    },
  )
  if (status !== 0) throw new Error(`packaging failed: ${stderr}`)
}

describe('the packaged application', () => {
  test('has its fuses set', async () => {
    const fuses = await getCurrentFuseWire(join(application, 'vivarium'))

    const set = (fuse: FuseV1Options): string => String.fromCharCode(Number(fuses[fuse]))
    expect({
      runAsNode: set(FuseV1Options.RunAsNode),
      nodeOptions: set(FuseV1Options.EnableNodeOptionsEnvironmentVariable),
      inspect: set(FuseV1Options.EnableNodeCliInspectArguments),
      cookieEncryption: set(FuseV1Options.EnableCookieEncryption),
      asarIntegrity: set(FuseV1Options.EnableEmbeddedAsarIntegrityValidation),
      onlyAsar: set(FuseV1Options.OnlyLoadAppFromAsar),
    }).toEqual({
      runAsNode: '0',
      nodeOptions: '0',
      inspect: '0',
      cookieEncryption: '1',
      asarIntegrity: '1',
      onlyAsar: '1',
    })
  })

  test('is one archive, with the native module beside it', () => {
    const unpacked = join(application, 'resources/app.asar.unpacked/node_modules/sqlite3/build/Release')

    expect(existsSync(join(application, 'resources/app.asar'))).toBe(true)
    expect(existsSync(join(application, 'resources/app'))).toBe(false)
    expect(existsSync(join(unpacked, 'node_sqlite3.node'))).toBe(true)
  })

  test('opens its window and boots a guest', async () => {
    const home = temporaryFolder()
    await seedStarter(home)
    const page = await openPackaged(home)
    await page.getByText('Vivarium').first().waitFor()

    const run = await vivarium(home, ['run', '--no-stdin', '--', 'uname', '-s'])

    expect(run).toEqual({ status: 0, stdout: 'Linux\n', stderr: '' })
    // the network's worker is a file of the archive as well
    const ask = ['run', '--no-stdin', '--', 'sh', '-c', 'until ip route | grep -q ^default; do sleep 1; done; ip route']
    expect((await vivarium(home, ask)).stdout).toContain('default via 10.86.0.1')
    const info = JSON.parse((await vivarium(home, ['info', '--json'])).stdout) as { shell: string }
    expect(info.shell).toBe('electron')
  })
})

/** Starts it on `home` and connects to its page; playwright's own launcher needs a fuse that is off. */
async function openPackaged(home: string) {
  const child = spawn(join(application, 'vivarium'), [...sandboxFlags, '--remote-debugging-port=0'], {
    env: { ...definedEnvironment(), ...display, VIVARIUM_HOME: home, VIVARIUM_UNATTENDED: 'force-off' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  onTestFinished(async () => {
    child.kill()
    await ended
  })
  let said = ''
  child.stderr.on('data', (text: Buffer) => (said += text.toString()))
  const address = /DevTools listening on (ws:\S+)/
  await expect.poll(() => said, { timeout: 30_000 }).toMatch(address)
  const browser = await chromium.connectOverCDP(address.exec(said)?.[1] ?? '', { noDefaults: true })
  const pages = () => browser.contexts().flatMap((context) => context.pages())
  await expect.poll(() => pages().length, { timeout: 30_000 }).toBe(1)
  return pages()[0]!
}
