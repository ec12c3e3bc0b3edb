import { spawnSync } from 'node:child_process'
import { beforeAll, beforeEach, test } from 'vitest'
import { displayEnvironment } from '../support/display'
import { launchElectron, noElectron } from '../support/electron-app'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium } from '../support/vivarium'
import { median, percentile, report, timed } from './figures'

const folder = temporaryFolderForFile()
const ROUNDS = 5
const MANY = 500
let display: Record<string, string> = {}

beforeAll(async () => {
  if (!noElectron) display = await displayEnvironment()
})
beforeEach((context) => context.skip(noElectron !== '', noElectron))

/** In the page: calls one after another over the bridge itself, and how long each took, milliseconds. */
async function callsOverBridge(calls: number): Promise<number[]> {
  interface Bridge {
    post(message: unknown): void
    onMessage(listener: (message: { i?: string }) => void): void
  }
  const { vivarium } = window as unknown as { vivarium: Bridge }
  const samples: number[] = []
  for (let call = 0; call < calls; call++) {
    const begun = performance.now()
    await new Promise<void>((resolve) => {
      vivarium.onMessage((message) => {
        if (message.i === `bench-${call}`) resolve()
      })
      vivarium.post({ t: 'q', i: `bench-${call}`, m: 'call', a: ['settings.get', {}] })
    })
    samples.push(performance.now() - begun)
  }
  return samples
}

/** From the start of the process to a search field that takes input; what the start script checks first is added. */
async function startToInteractive(): Promise<number> {
  const checks = await timed(async () => spawnSync(process.execPath, ['scripts/build.mjs', '--if-needed']))
  const begun = performance.now()
  const { app, page } = await launchElectron(folder, display)
  await page.getByRole('searchbox').or(page.getByPlaceholder('Search')).first().fill('zz')
  const ms = performance.now() - begun + checks
  await app.close()
  return ms / 1000
}

test('start to an interactive window, with few and with many domains', async () => {
  await seedStarter(folder)
  await startToInteractive()
  const few: number[] = []
  for (let round = 0; round < ROUNDS; round++) few.push(await startToInteractive())
  report({ name: 'start to an interactive window, warm', values: few, unit: ' s', atMost: 3 })

  const { call, close } = await openVivarium(folder)
  const { resultId: imageId } = await finish(call, call('images.prepareStarter', {}))
  for (let number = 0; number < MANY; number++) {
    await call('domains.create', {
      spec: { name: `domain-${number}`, engine: 'embedded', imageId, group: `group ${number % 9}` },
    })
  }
  await close()
  const many: number[] = []
  for (let round = 0; round < ROUNDS; round++) many.push(await startToInteractive())
  report({
    name: `${MANY} domains: more than that`,
    values: many.map((value) => value - median(few)),
    unit: ' s',
    atMost: 2,
  })
})

test("a call there and back over Electron's IPC", async () => {
  const { page } = await launchElectron(folder, display)
  await page.getByPlaceholder('Search').first().waitFor()
  const rounds: number[] = []
  for (let round = 0; round < ROUNDS; round++) rounds.push(percentile(await page.evaluate(callsOverBridge, 1000), 0.99))
  report({ name: "call over Electron's IPC, p99", values: rounds, unit: ' ms', atMost: 10 })
})
