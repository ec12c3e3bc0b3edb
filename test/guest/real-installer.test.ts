import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { takeScreenshot } from '../../src-main/contract'
import { ConsoleText } from '../support/console-text'
import { decodePng, share } from '../support/png-picture'
import { importFiles, missing, REAL_INPUTS, removeDomains, startReal } from '../support/real-inputs'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, type TestVivarium } from '../support/vivarium'

const folder = temporaryFolderForFile()
/** No questions about hardware, no clock comparisons that are lost on a busy host. */
const CMDLINE = 'quiet tsc=reliable no_timer_check mitigations=off'
const SERIAL = `console=ttyS0 TERM=vt102 ${CMDLINE}`
let vivarium: TestVivarium

beforeAll(async () => {
  // the starter image brings the embedded engine a BIOS
  await seedStarter(folder)
  vivarium = await openVivarium(folder)
  await finish(vivarium.call, vivarium.call('images.prepareStarter', {}))
})

afterEach(() => removeDomains(vivarium.call))
afterAll(() => vivarium.close())

/** Debian's installer asks its first question: its title, what it says, and the languages. */
async function expectQuestion(console: ConsoleText): Promise<void> {
  await console.expect(/Select a language/)
  await console.expect(/Choose the language to be used for the installation process/)
  await console.expect(/English/)
}

describe.each([
  ['installer64', 'qemu', 1024],
  ['installer32', 'qemu', 1024],
  ['installer32', 'embedded', 1024],
] as const)('%s on %s', (name, engine, memoryMiB) => {
  const why = missing(name)
  test.skipIf(why !== '')(`comes to its first question on the serial console ${why}`, async () => {
    const { call } = vivarium
    const imageId = await importFiles(call, REAL_INPUTS[name].files, SERIAL)
    const id = await startReal(call, engine, imageId, { memoryMiB })

    const console = new ConsoleText(call, id)
    await expectQuestion(console)
  })
})

const why = missing('installer64')
test.skipIf(why !== '')(`shows its first question on the screen, in its colours ${why}`, async () => {
  const { call } = vivarium
  const imageId = await importFiles(call, REAL_INPUTS.installer64.files, `console=tty0 ${CMDLINE}`)
  const id = await startReal(call, 'qemu', imageId, { memoryMiB: 1024 })
  const picture = async () => decodePng(await takeScreenshot(call, id))

  const shares = async () => {
    const shot = await picture()
    return {
      blue: share(shot, (red, green, blue) => blue > 120 && red + green < 100),
      grey: share(shot, (red, green, blue) => Math.min(red, green, blue) > 150),
      red: share(shot, (red, green, blue) => red > 120 && green + blue < 100),
    }
  }

  // newt: a blue ground with a shadow, on it a window in light grey, with its title and the chosen line in red
  await expect.poll(async () => (await shares()).red, { timeout: 240_000, interval: 1100 }).toBeGreaterThan(0.003)
  const { blue, grey } = await shares()
  expect(blue).toBeGreaterThan(0.03)
  expect(grey).toBeGreaterThan(0.5)
})
