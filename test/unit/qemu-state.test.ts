import { mkdirSync } from 'node:fs'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { qemuCommand } from '../../vmm/engine/qemu-command'
import type { Qmp } from '../../vmm/engine/qemu-link'
import { machineUuid } from '../../vmm/engine/qemu-process'
import { checkState, loadState, writeState } from '../../vmm/engine/qemu-state'
import type { MachineSpec } from '../../vmm/engine/machine-spec'
import { machineSpec } from '../support/machine-specs'
import { kindOf } from '../support/outcome'
import { below, bytes, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { NO_QEMU, standingQemu } from '../support/standing-qemu'
import { temporaryFolder } from '../support/temporary-folder'

function command(spec: MachineSpec): string[] {
  const uuid = machineUuid(spec.domainId)
  const parts = {
    binary: 'qemu-system-x86_64',
    accelerator: 'tcg',
    sandbox: true,
    uuid,
    layers: [],
    uefiCode: null,
  } as const
  return qemuCommand(spec, parts)
}

function newRunFolder(): string {
  const folder = join(temporaryFolder(), 'run')
  mkdirSync(folder)
  return folder
}

describe.skipIf(NO_QEMU)(`a state of QEMU ${NO_QEMU}`, () => {
  test('goes from one machine to another, and is refused when any of its end is missing or its bytes are others', async () => {
    const { random } = seededRandom()
    const file = join(temporaryFolder(), 'machine.state')
    const first = await standingQemu(command(machineSpec()), newRunFolder())
    const written = await writeState(first.qmp, file)
    const whole = await readFile(file)
    expect(whole.length).toBe(written)
    expect(await first.quit()).toBe(0)
    expect(await kindOf(checkState(file))).toBe('done')

    const run = newRunFolder()
    const second = await standingQemu(command(machineSpec()), run)
    await loadState(second.qmp, file, run)
    expect(await second.qmp.run('query-status', {})).toMatchObject({ running: false })
    expect((await readFile(file)).equals(whole), 'the file stays as it is').toBe(true)
    expect((await readdir(run)).filter((name) => name.includes('state'))).toEqual([])

    const spoilt = join(temporaryFolder(), 'spoilt.state')
    for (let cut = 1; cut <= 40; cut += 1) {
      await writeFile(spoilt, whole.subarray(0, whole.length - cut))
      expect(await kindOf(checkState(spoilt)), `without the last ${cut}`).toBe('damaged')
    }
    for (let count = 0; count < 100; count += 1) {
      const odd = pick(random, [
        bytes(random, below(random, 200)),
        Buffer.concat([whole.subarray(0, 100), bytes(random, 64)]),
      ])
      await writeFile(spoilt, odd)
      expect(await kindOf(checkState(spoilt))).toBe('damaged')
    }
    await writeFile(spoilt, Buffer.concat([whole, Buffer.alloc(1)]))
    expect(await kindOf(checkState(spoilt))).toBe('damaged')
    expect(await kindOf(checkState(join(temporaryFolder(), 'none')))).toBe('damaged')

    const third = await standingQemu(command(machineSpec({ memoryMiB: 64 })), newRunFolder())
    await expect(loadState(third.qmp, file, newRunFolder())).rejects.toMatchObject({
      kind: 'damaged',
      message: expect.stringContaining('does not fit this machine'),
    })
  })

  test('that cannot be written leaves nothing', async () => {
    const folder = temporaryFolder()
    const qemu = await standingQemu(command(machineSpec()), newRunFolder())
    const refusing: Qmp = {
      run: (name, args, withinMs) =>
        name === 'snapshot-save' ? Promise.reject(new Error('no')) : qemu.qmp.run(name, args, withinMs),
    }
    await expect(writeState(refusing, join(folder, 'machine.state'))).rejects.toThrow('no')
    expect(await readdir(folder)).toEqual([])
    const written = await writeState(qemu.qmp, join(folder, 'machine.state'))
    expect(written, 'and what it needed is free again').toBeGreaterThan(0)
  })
})
