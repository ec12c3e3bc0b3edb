import { spawnSync } from 'node:child_process'
import { beforeAll, beforeEach, test } from 'vitest'
import { displayEnvironment } from '../support/display'
import { launchElectron, noElectron } from '../support/electron-app'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium } from '../support/vivarium'
import { median, report, timed } from './figures'

const folder = temporaryFolderForFile()
const ROUNDS = 5
const MANY = 500
let display: Record<string, string> = {}

beforeAll(async () => {
  if (!noElectron) display = await displayEnvironment()
})
beforeEach((context) => context.skip(noElectron !== '', noElectron))

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
