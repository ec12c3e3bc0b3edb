import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { qemuCommand } from '../../vmm/engine/qemu-command'
import type { OpenLayer } from '../../vmm/engine/qemu-layer-record'
import { machineUuid } from '../../vmm/engine/qemu-process'
import { startFailure } from '../../vmm/engine/qemu-start-failure'
import type { MachineSpec } from '../../vmm/engine/machine-spec'
import { diskSpec, machineSpec } from '../support/machine-specs'
import { qemuImg } from '../support/qemu-disks'
import { NO_QEMU, standingQemu } from '../support/standing-qemu'
import { temporaryFolder } from '../support/temporary-folder'

function command(spec: MachineSpec, layers: OpenLayer[] = []): string[] {
  const uuid = machineUuid(spec.domainId)
  const parts = {
    binary: 'qemu-system-x86_64',
    accelerator: 'tcg',
    sandbox: true,
    uuid,
    layers,
    uefiCode: null,
  } as const
  return qemuCommand(spec, parts)
}

function newRunFolder(): string {
  const folder = join(temporaryFolder(), 'run')
  mkdirSync(folder)
  return folder
}

describe.skipIf(NO_QEMU)(`a QEMU that does not start ${NO_QEMU}`, () => {
  async function failureOf(words: string[]) {
    const said = await standingQemu(words, newRunFolder()).then(
      () => 'it started',
      (error: unknown) => (error as Error).message,
    )
    return startFailure(said, undefined)
  }

  async function diskMachine(spoil: (file: string) => void) {
    const folder = temporaryFolder()
    const file = join(folder, 'disk.qcow2')
    qemuImg('create', '-q', '-f', 'qcow2', file, '1M')
    spoil(file)
    return await failureOf(command(machineSpec({ disks: [diskSpec(folder)] }), [{ files: [file], base: null }]))
  }

  test('because its disk is no disk, says that it is damaged', async () => {
    expect(await diskMachine((file) => writeFileSync(file, 'garbage'.repeat(100)))).toMatchObject({ kind: 'damaged' })
  })

  test('because the structure of its disk is spoilt, says that it is damaged', async () => {
    const failure = await diskMachine((file) => {
      // no more cylinders than the table says: its L1 table lies beyond all files
      execFileSync('sh', [
        '-c',
        `printf '\\377\\377\\377\\377\\377\\377\\376\\000' | dd of="$1" bs=1 seek=40 conv=notrunc 2>&1`,
        'sh',
        file,
      ])
    })
    expect(failure).toMatchObject({ kind: 'damaged', hint: expect.stringContaining('Repair') })
  })

  test('because its disk is in use, says so', async () => {
    const folder = temporaryFolder()
    const file = join(folder, 'disk.qcow2')
    qemuImg('create', '-q', '-f', 'qcow2', file, '1M')
    const words = command(machineSpec({ disks: [diskSpec(folder)] }), [{ files: [file], base: null }])
    const user = await standingQemu(words, newRunFolder())
    expect(await failureOf(words)).toMatchObject({ kind: 'conflict', hint: expect.any(String) })
    await user.quit()
  })

  test('because it has not such a part, says that one is missing', async () => {
    const words = command(machineSpec())
    expect(await failureOf([...words, '-device', 'no-such-device'])).toMatchObject({ kind: 'unsupported' })
    const old = words.map((word) => word.replace('q35,', 'pc-i440fx-0.1,'))
    expect(await failureOf(old)).toMatchObject({ kind: 'unsupported' })
  })

  test('for want of memory, says so', async () => {
    const huge = command(machineSpec({ memoryMiB: 2 ** 30 }))
    expect(await failureOf(huge)).toMatchObject({
      kind: 'engine',
      message: expect.stringContaining('too little memory'),
    })
  })

  test('for any other reason, repeats its words', () => {
    expect(startFailure('', undefined).message).toBe('QEMU did not start and said nothing.')
    expect(startFailure('qemu: oops', undefined).message).toBe('QEMU did not start: qemu: oops')
  })
})
