import { mkdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { qemuCommand } from '../../vmm/engine/qemu-command'
import { QemuDisks } from '../../vmm/engine/qemu-disks'
import { LayerContent } from '../../vmm/engine/qemu-layer-content'
import { LayerStore } from '../../vmm/engine/qemu-layers'
import type { Qmp } from '../../vmm/engine/qemu-link'
import { backendOf } from '../../vmm/engine/qemu-names'
import { machineUuid } from '../../vmm/engine/qemu-process'
import type { MachineSpec } from '../../vmm/engine/machine-spec'
import { VmmError } from '../../vmm/model/errors'
import { readDisk } from '../support/qemu-disks'
import { diskSpec, machineSpec } from '../support/machine-specs'
import { NO_QEMU, standingQemu } from '../support/standing-qemu'
import { temporaryFolder } from '../support/temporary-folder'

let folder = ''
let layers: LayerStore

beforeEach(() => {
  folder = temporaryFolder()
  mkdirSync(join(folder, 'run'))
  mkdirSync(join(folder, 'snapshot'))
  layers = new LayerStore(join(folder, 'layers'))
})

const copyOf = (id: string) => join(folder, 'snapshot', `${id}.layer`)

/** A machine with these disks, and writing to them as the guest does. */
async function standing(spec: MachineSpec) {
  const opened = []
  for (const disk of spec.disks) opened.push(await layers.open(disk, spec.domainId))
  const words = qemuCommand(spec, {
    binary: 'qemu-system-x86_64',
    accelerator: 'tcg',
    sandbox: false,
    uuid: machineUuid(spec.domainId),
    layers: opened,
    uefiCode: null,
  })
  const qemu = await standingQemu(words, join(folder, 'run'))
  return {
    ...qemu,
    disks: disksOf(spec),
    async write(value: number, id = 'disk') {
      const device = qdevOf(spec, id)
      const said = await qemu.io(device, `write -P ${value} 0 64k`)
      expect(said, 'nothing to complain about').not.toMatch(/fail|error|not found/i)
    },
  }
}

function disksOf(spec: MachineSpec): QemuDisks {
  const live = spec.disks.map(({ id, layer }) => ({ id, layer, backend: backendOf(id, spec), served: false }))
  return new QemuDisks(live, layers, spec.domainId)
}

function qdevOf(spec: MachineSpec, id: string): string {
  return backendOf(id, spec)
}

async function firstByte(spec: MachineSpec, id: string, layer?: string): Promise<number | undefined> {
  const disk = spec.disks.find((each) => each.id === id)
  if (!disk) throw new Error(`no disk ${id}`)
  const content = new LayerContent(join(folder, 'layers'))
  const bytes = await readDisk(await content.source(layer === undefined ? disk : { ...disk, layer }), folder)
  return bytes[0]
}

/** QEMU that does not get `command`, or whose answer to it gets lost; when main `dies` of it, nothing comes after. */
function cutOff(qmp: Qmp, command: string, { before, dies }: { before: boolean; dies: boolean }): Qmp {
  let over = false
  return {
    async run(name, args, withinMs) {
      const silence = new VmmError('timeout', 'QEMU did not answer in time.')
      if (over && dies) throw silence
      if (over || name !== command) return await qmp.run(name, args, withinMs)
      over = true
      if (!before) await qmp.run(name, args, withinMs)
      throw silence
    },
  }
}

describe.skipIf(NO_QEMU)(`the disks of a QEMU that runs ${NO_QEMU}`, () => {
  test.each(['virtio', 'sata'] as const)('are copied while it writes to them (%s)', async (diskBus) => {
    const disks = [diskSpec(folder), diskSpec(folder, { id: 'disk1' })]
    const spec = machineSpec({ disks, diskBus })
    const machine = await standing(spec)
    await machine.write(1)
    await machine.write(2, 'disk1')

    await machine.disks.copy(machine.qmp, { disk: copyOf('disk'), disk1: copyOf('disk1') })
    await machine.write(3)
    await machine.disks.copy(machine.qmp, { disk: copyOf('later') })
    await machine.write(4)
    await machine.quit()
    await layers.closed(machine.disks.files, spec.domainId, true)

    expect(await firstByte(spec, 'disk')).toBe(4)
    expect(await firstByte(spec, 'disk1')).toBe(2)
    expect(await firstByte(spec, 'disk', copyOf('disk'))).toBe(1)
    expect(await firstByte(spec, 'disk1', copyOf('disk1'))).toBe(2)
    expect(await firstByte(spec, 'disk', copyOf('later'))).toBe(3)
  })

  test.each([
    ['after QEMU had moved, and main died', 'transaction', false, true],
    ['before QEMU moved, and main died', 'transaction', true, true],
    ['after QEMU had moved, and main went on', 'transaction', false, false],
    ['before the new file was told to QEMU', 'blockdev-add', true, false],
    ['after the new file was told to QEMU', 'blockdev-add', false, false],
  ] as const)('keep everything when a copy is cut off %s', async (_, command, before, dies) => {
    const spec = machineSpec({ disks: [diskSpec(folder)] })
    const machine = await standing(spec)
    await machine.write(1)
    const outcome = machine.disks.copy(cutOff(machine.qmp, command, { before, dies }), { disk: copyOf('disk') })
    await expect(outcome).rejects.toMatchObject({ kind: 'timeout' })
    await machine.write(2)

    if (dies) {
      layers = new LayerStore(join(folder, 'layers'))
      await layers.adopt([spec.disks[0]?.layer ?? ''], spec.domainId)
      await disksOf(spec).settle(machine.qmp)
      await layers.sweep([spec.disks[0]?.layer ?? ''])
    }
    await machine.write(3)
    const again = disksOf(spec)
    await again.copy(machine.qmp, { disk: copyOf('again') })
    await machine.write(4)
    await machine.quit()
    await layers.closed(again.files, spec.domainId, true)
    await layers.sweep([spec.disks[0]?.layer ?? '', copyOf('again')])

    expect(await firstByte(spec, 'disk')).toBe(4)
    expect(await firstByte(spec, 'disk', copyOf('again'))).toBe(3)
    expect(await readdir(join(folder, 'layers'))).toHaveLength(2)
  })
})
