import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import type { MachineSpec } from '../../vmm/engine/machine-spec'
import { emptyDisk, MIB, onEveryEngine, type EngineTrial } from '../support/engine-trial'
import { failureOf } from '../support/machines'
import { temporaryFolderForFile } from '../support/temporary-folder'

const folder = temporaryFolderForFile()

await onEveryEngine(folder, badInputIsRefused)

/** What every engine refuses to start, and how it says so. */
function badInputIsRefused(trial: EngineTrial): void {
  function broken(name: string, content: Buffer): string {
    const file = path.join(folder, name)
    writeFileSync(file, content)
    return file
  }

  test.each(['kernel', 'initrd', 'bios', 'resumeFrom', 'base'] as const)(
    'a missing %s, by kind not-found',
    async (what) => {
      const none = path.join(folder, 'none')
      const { boot, bios, disks } = trial.spec()
      const missing: Record<typeof what, Partial<MachineSpec>> = {
        kernel: { boot: { ...boot, kernel: none } as MachineSpec['boot'] },
        initrd: { boot: { ...boot, initrd: none } as MachineSpec['boot'] },
        bios: { bios: { ...bios, bios: none } },
        resumeFrom: { resumeFrom: none },
        base: { disks: disks.map((disk) => ({ ...disk, base: none })) },
      }

      const failure = await failureOf(trial.engine.start(trial.spec(missing[what])))

      expect(failure).toMatchObject({ kind: 'not-found', hint: expect.stringMatching(/.+/) })
    },
  )

  test.each([
    ['empty', () => Buffer.alloc(0)],
    ['cut off after 1000 bytes', (whole: Buffer) => whole.subarray(0, 1000)],
    ['something else', () => Buffer.alloc(100_000, 'not a kernel ')],
  ] as const)('a kernel that is %s', async (name, spoil) => {
    const kernel = broken(`kernel-${name}`, spoil(readFileSync(trial.starter.kernel)))

    const failure = await failureOf(
      trial.engine.start(trial.spec({ boot: { kind: 'kernel', kernel, initrd: null, cmdline: '' } })),
    )

    expect(failure).toMatchObject({ kind: 'invalid', message: expect.stringMatching(/\.$/) })
  })

  test.each([
    ['empty', () => Buffer.alloc(0)],
    ['cut off', (whole: Buffer) => whole.subarray(0, whole.length - 1)],
    ['no state', () => Buffer.alloc(100_000, 'x')],
  ] as const)('a state that is %s, by kind damaged', async (name, spoil) => {
    const resumeFrom = broken(`state-${name}`, spoil(readFileSync(trial.bootedFile)))

    expect(await failureOf(trial.resumed({ resumeFrom }).then((own) => own.machine))).toMatchObject({ kind: 'damaged' })
    expect(await trial.engine.checkState(resumeFrom)).toMatch(/^The saved state .+\.$/)
  })

  test('a state whose content is not one', async () => {
    const spoilt = readFileSync(trial.bootedFile)
    spoilt.fill(0xee, 40, 4000)

    const failure = await failureOf(
      trial.resumed({ resumeFrom: broken('spoilt.state', spoilt) }).then((own) => own.machine),
    )

    expect(failure).toMatchObject({ kind: 'damaged', message: expect.stringMatching(/\.$/) })
  })

  test('a state of another memory size', async () => {
    const failure: unknown = await failureOf(trial.resumed({ memoryMiB: 64 }).then((own) => own.machine))

    expect(failure).toMatchObject({
      kind: expect.stringMatching(/^(invalid|damaged)$/),
      message: expect.stringMatching(/\.$/),
    })
  })

  test('a disk layer that is damaged, by kind damaged', async () => {
    const layer = broken('spoilt.layer', Buffer.alloc(10_000, 'x'))

    const failure = await failureOf(trial.engine.start(trial.spec({ disks: [emptyDisk(layer)] })))

    expect(failure).toMatchObject({ kind: 'damaged' })
  })

  test('a base image that got shorter, by kind damaged', async () => {
    const base = broken('short.img', Buffer.alloc(MIB))
    truncateSync(base, 1000)

    const failure = await failureOf(
      trial.engine.start(
        trial.spec({ disks: [{ ...emptyDisk(path.join(folder, 'over-short.layer')), base, baseBytes: MIB }] }),
      ),
    )

    expect(failure).toMatchObject({ kind: 'damaged' })
  })
}
