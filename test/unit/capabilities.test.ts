import { describe, expect, test } from 'vitest'
import { macsOf, newMac } from '../../vmm/machine/identity'
import { NO_CAPABILITIES, refuseUnsupported, unsupported } from '../../vmm/model/capabilities'
import { NO_LIMITS, PLAIN_HARDWARE } from '../../vmm/model/hardware'

const PLAIN = { ...PLAIN_HARDWARE, memoryMiB: 512, diskLimits: NO_LIMITS }
const CAN = {
  ...NO_CAPABILITIES,
  diskLimits: true,
  mostCpus: 4,
  mostMemoryMiB: 1024,
  furtherDisks: 1,
  mostNics: 2,
  firmwares: ['bios', 'uefi'],
  machineTypes: ['q35', 'microvm'],
  accelerators: ['kvm'],
  diskBuses: ['virtio', 'sata'],
} as const
const disk = (id: string, attached = true) => ({ id, kind: 'disk', mib: 1, imageId: '', attached }) as const
const nic = { model: 'virtio' } as const
const microvm = { machineType: 'microvm' } as const

describe('hardware that an engine does not have', () => {
  test.each([
    ['nothing in particular', {}, ''],
    ['as many processors as there can be', { cpus: 4 }, ''],
    ['one more', { cpus: 5 }, 'at most 4 processors'],
    ['as much memory as there can be', { memoryMiB: 1024 }, ''],
    ['more memory', { memoryMiB: 1025 }, 'at most 1024 MiB'],
    ['UEFI', { firmware: 'uefi' }, ''],
    ['another machine', { machineType: 'pc' }, "machine type 'pc'"],
    ['another accelerator', { accelerator: 'hvf' }, "accelerator 'hvf'"],
    ['a disk', { disks: [disk('disk1')] }, ''],
    ['too many disks', { disks: [disk('disk1'), disk('disk2')] }, 'so many further disks'],
    ['a disk too many that is not attached', { disks: [disk('disk1'), disk('disk2', false)] }, ''],
    ['too many network cards', { nics: [nic, nic, nic] }, 'at most 2 network cards'],
    ['no network card', { nics: [] }, ''],
    ['a limit', { diskLimits: { ...NO_LIMITS, writeOps: 1 } }, ''],
    ['UEFI in a microvm', { ...microvm, firmware: 'uefi' }, 'without UEFI'],
    ['SATA in a microvm', { ...microvm, diskBus: 'sata' }, 'virtio disks only'],
    ['an e1000 in a microvm', { ...microvm, nics: [nic, { model: 'e1000' }] }, 'virtio network cards only'],
    ['a microvm', { ...microvm, nics: [nic], diskBus: 'virtio' }, ''],
  ] as const)('is told of: %s', (_, change, expected) => {
    const fault = unsupported({ ...PLAIN, ...change } as typeof PLAIN, CAN)
    if (expected === '') expect(fault).toBe('')
    else expect(fault).toContain(expected)
  })

  test.each([
    ['a processor too many', { cpus: 2 }, 'at most 1 processor.'],
    ['UEFI', { firmware: 'uefi' }, 'no UEFI firmware'],
    ['a disk bus', { diskBus: 'sata' }, "no disk bus 'sata'"],
    ['a limit', { diskLimits: { ...NO_LIMITS, readBytes: 1 } }, 'cannot limit'],
    ['bursts without a limit', { diskLimits: { ...NO_LIMITS, burstTimes: 3, burstSeconds: 9 } }, ''],
  ] as const)('is told of to one that can do little: %s', (_, change, expected) => {
    const little = { ...NO_CAPABILITIES, mostMemoryMiB: 512, mostNics: 1, firmwares: ['bios'] as const }
    expect(unsupported({ ...PLAIN, ...change }, little)).toMatch(expected || /^$/)
  })

  test('is refused with the name of the engine and the next step', () => {
    const spec = { ...PLAIN, cpus: 9 }
    expect(() => refuseUnsupported(spec, { name: 'QEMU', capabilities: CAN })).toThrow(
      expect.objectContaining({
        kind: 'unsupported',
        message: expect.stringMatching(/^QEMU: /),
        hint: expect.any(String),
      }),
    )
    expect(() => refuseUnsupported(PLAIN, { name: 'QEMU', capabilities: CAN })).not.toThrow()
  })
})

test('the network cards of a domain have addresses of their own, and its first one keeps its', () => {
  for (let count = 0; count < 200; count += 1) {
    const mac = newMac()
    const all = macsOf(mac, 8)
    expect(all[0]).toBe(mac)
    expect(new Set(all).size).toBe(8)
    for (const each of all) expect(each).toMatch(/^52:54:[0-9a-f]{2}(:[0-9a-f]{2}){3}$/)
  }
  expect(macsOf(newMac(), 0)).toEqual([])
})
