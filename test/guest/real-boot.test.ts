import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { takeScreenshot, type EngineId } from '../../src-main/contract'
import { ConsoleText } from '../support/console-text'
import { decodePng, share, type Pixels } from '../support/png-picture'
import { NO_QEMU_IMG, qemuImg } from '../support/qemu-disks'
import { importFiles, missing, REAL_INPUTS, removeDomains, startReal, type RealInput } from '../support/real-inputs'
import { ScreenViewer } from '../support/screen-viewer'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, until, type TestVivarium } from '../support/vivarium'

const folder = temporaryFolderForFile()
let vivarium: TestVivarium

beforeAll(async () => {
  // the starter image brings the embedded engine a BIOS
  await seedStarter(folder)
  vivarium = await openVivarium(folder)
  await finish(vivarium.call, vivarium.call('images.prepareStarter', {}))
})

afterEach(() => removeDomains(vivarium.call))
afterAll(() => vivarium.close())

const picture = async (id: string): Promise<Pixels> => decodePng(await takeScreenshot(vivarium.call, id))

/** Whether there is a menu on the screen, with its chosen line as a bar of light. */
function hasMenu({ width, height, rgb }: Pixels): boolean {
  let bright = 0
  for (let y = 0; y < height; y++) {
    const row = rgb.subarray(y * width * 3, (y + 1) * width * 3)
    if (row.filter((value) => value > 100).length > row.length * 0.8) bright++
  }
  return bright >= 8
}

/**
 * GRUB shows its menu, is typed to on its screen, and tells on the serial port, where it is told to speak as well,
 * what disks it sees.
 */
async function grubTells(engine: EngineId, imageId: string, disk: RegExp): Promise<void> {
  const { call } = vivarium
  const id = await startReal(call, engine, imageId, { memoryMiB: 128 })
  await until(call, id, (domain) => domain.screen)
  const seesMenu = async () => hasMenu(await picture(id))
  await expect.poll(seesMenu, { timeout: 120_000, interval: 1100 }).toBe(true)
  const viewer = await ScreenViewer.open(call, id)
  await viewer.type('c')
  await expect.poll(seesMenu, { timeout: 60_000, interval: 1100 }).toBe(false)
  await viewer.type('serial\r')
  await viewer.type('terminal_output console serial\r')
  await viewer.type('ls\r')

  const console = new ConsoleText(call, id)
  await console.expect(disk, 60_000)
  await console.expect(/grub> /, 60_000)
  await viewer.close()
}

describe.each(['qemu', 'embedded'] as const)("GRUB's rescue system on %s", (engine) => {
  const why = missing('grubCd')
  test.skipIf(why !== '')(`comes to its prompt from the CD, and reads what is typed ${why}`, async () => {
    await grubTells(engine, await importFiles(vivarium.call, REAL_INPUTS.grubCd.files), /\(cd0?\)/)
  })

  const whyNoDisk = missing('grubDisk') || NO_QEMU_IMG
  test.skipIf(whyNoDisk !== '').each(['qcow2', 'vmdk'] as const)(
    `and from a disk that was a %s ${whyNoDisk}`,
    async (format) => {
      const disk = path.join(folder, `${engine}.${format}`)
      qemuImg('convert', '-f', 'raw', '-O', format, REAL_INPUTS.grubDisk.files[0], disk)
      await grubTells(engine, await importFiles(vivarium.call, [disk]), /\(hd0\)/)
    },
  )
})

describe.each([
  ['memtest64', 'qemu'],
  ['memtest32', 'qemu'],
] as const satisfies [RealInput, EngineId][])('%s on %s', (name, engine) => {
  const why = missing(name)
  test.skipIf(why !== '')(`goes from test to test and finds the memory sound ${why}`, async () => {
    const { call } = vivarium
    const imageId = await importFiles(call, REAL_INPUTS[name].files, 'console=ttyS0,115200')
    const id = await startReal(call, engine, imageId, { memoryMiB: 64 })
    const console = new ConsoleText(call, id)

    await console.expect(/Memtest86\+/)
    // it tells about itself every two seconds, in which a quick test may begin and end
    await console.expect(/#[0-3] +\[/)
    await console.expect(/#[4-9] +\[/)
    await console.expect(/Errors: 0 /)
    // its ground is blue, and its figures go on
    const first = await picture(id)
    expect(share(first, (red, green, blue) => blue > 100 && red + green < 100)).toBeGreaterThan(0.3)
    await expect
      .poll(async () => (await picture(id)).rgb.equals(first.rgb), { timeout: 30_000, interval: 1500 })
      .toBe(false)
  })
})

const whyNoMemtest = missing('memtest32')
test.skipIf(whyNoMemtest !== '')(
  `memtest86+, whose paging v86 cannot follow, ends its own guest process and nothing else ${whyNoMemtest}`,
  async () => {
    const { call } = vivarium
    const imageId = await importFiles(call, REAL_INPUTS.memtest32.files, 'console=ttyS0,115200')
    const id = await startReal(call, 'embedded', imageId, { memoryMiB: 64 })

    const { stateReason } = await until(call, id, (domain) => domain.state === 'crashed')

    expect(stateReason).toMatch(/\.$/)
    expect((await call('log.read', { domainId: id })).map(({ event }) => event)).toContain('domain.crashed')
  },
)
