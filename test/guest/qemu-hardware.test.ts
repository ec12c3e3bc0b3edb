import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, shell, startDomain, type TestVivarium } from '../support/vivarium'

const folder = temporaryFolderForFile()
const NO_UEFI = existsSync('/usr/share/OVMF') ? '' : '(needs OVMF)'

describe.skipIf(NO_QEMU !== '')(`hardware of QEMU machines ${NO_QEMU}`, () => {
  let vivarium: TestVivarium

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder)
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  test('two processors and four network cards, each with an address of its own', async () => {
    const { call } = vivarium
    const nics = (['virtio', 'virtio', 'virtio', 'virtio'] as const).map((model) => ({ model }))
    const id = await startDomain(call, 'Wide', { engine: 'qemu', memoryMiB: 96, cpus: 2, machineType: 'q35', nics })

    expect(await shell(call, id, 'grep -c ^processor /proc/cpuinfo')).toBe('2')
    const macs = (await shell(call, id, 'cat /sys/class/net/eth*/address')).split('\n')
    expect(new Set(macs).size).toBe(4)
    expect(macs[0]).toBe((await call('domains.get', { id })).mac)
    const { words } = await call('domains.commandLine', { id })
    expect(words).toContain('2')
    await call('domains.forceOff', { id })
  })

  test('a microvm boots to its agent, is saved and goes on', async () => {
    const { call } = vivarium
    const id = await startDomain(call, 'Tiny', { engine: 'qemu', memoryMiB: 80, machineType: 'microvm' })

    expect(await shell(call, id, 'uname -s')).toBe('Linux')
    expect((await call('domains.get', { id })).screen).toBe(false)
    await shell(call, id, 'echo kept > /root/note')
    await finish(call, call('domains.save', { id }))
    await finish(call, call('domains.start', { id }))
    expect(await shell(call, id, 'cat /root/note')).toBe('kept')
    await call('domains.forceOff', { id })
  })

  test('an old PC, with disks as every system knows them', async () => {
    const { call } = vivarium
    const spec = { engine: 'qemu', memoryMiB: 80, machineType: 'pc', diskBus: 'sata', diskMiB: 16 } as const
    const id = await startDomain(call, 'Old', spec)

    expect(Number(await shell(call, id, 'cat /sys/block/sda/size'))).toBe(16 * 2048)
    expect(await shell(call, id, 'cat /sys/class/net/eth0/address')).toBe((await call('domains.get', { id })).mac)
    await call('domains.forceOff', { id })
  })

  test.skipIf(NO_UEFI !== '')(`UEFI comes up, and what it remembers goes with snapshots ${NO_UEFI}`, async () => {
    const { call } = vivarium
    const imageId = (await call('images.list', {}))[0]?.id ?? ''
    const spec = { name: 'Modern', engine: 'qemu', imageId, firmware: 'uefi', diskMiB: 16 } as const
    const { id } = await call('domains.create', { spec })
    const variables = path.join(folder, 'domains', id, 'uefi.vars')
    await finish(call, call('domains.start', { id }))
    const fresh = readFileSync(variables)

    // a firmware that comes up writes down what it found to boot from
    await expect.poll(() => readFileSync(variables).equals(fresh), { timeout: 60_000 }).toBe(false)
    await call('domains.forceOff', { id })
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, memory: false }))
    const kept = readFileSync(path.join(folder, 'domains', id, 'snapshots', snapshotId, 'uefi.vars'))
    expect(kept.equals(readFileSync(variables))).toBe(true)
    writeFileSync(variables, fresh)
    await finish(call, call('snapshots.revert', { id, snapshotId }))
    expect(readFileSync(variables).equals(kept)).toBe(true)
  })
})
