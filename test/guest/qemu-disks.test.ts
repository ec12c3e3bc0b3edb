import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readMark, startAndWait, writeMark } from '../support/guest-disks'
import { writeIso } from '../support/image-files'
import { qemuImg } from '../support/qemu-disks'
import { endMachines, NO_QEMU, qemuPid } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

const MIB = 1024 * 1024
const LONG = { timeout: 60_000 }
const folder = temporaryFolderForFile()

describe.skipIf(NO_QEMU !== '')(`disks of QEMU machines ${NO_QEMU}`, () => {
  let vivarium: TestVivarium
  let id = ''

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder)
    id = await startDomain(vivarium.call, 'Disks', { engine: 'qemu', memoryMiB: 128, diskMiB: 32 })
    await vivarium.call('domains.forceOff', { id })
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  test('disks are added, empty and upon an image, and keep what is written to them', async () => {
    const { call } = vivarium
    const raw = path.join(folder, 'given.qcow2')
    writeFileSync(`${raw}.raw`, Buffer.from('from the image'.padEnd(512)))
    qemuImg('convert', '-f', 'raw', '-O', 'qcow2', `${raw}.raw`, raw)
    const { resultId: imageId } = await finish(call, call('images.import', { sources: [{ path: raw }] }))
    await call('disks.add', { id, kind: 'disk', mib: 16 })
    await call('disks.add', { id, kind: 'disk', mib: 24, imageId })
    await call('disks.add', { id, kind: 'cdrom' })
    await startAndWait(call, id)

    const sizes = await shell(call, id, 'cat /sys/block/vda/size /sys/block/vdb/size /sys/block/vdc/size')
    expect(sizes.split('\n').map((sectors) => Number(sectors) / 2048)).toEqual([32, 16, 24])
    expect(await readMark(call, id, 'vdc')).toBe('from the image')
    await writeMark(call, id, 'second', 'vdb')
    await writeMark(call, id, 'third', 'vdc')
  })

  test('a CD is put in and taken out under the running guest', async () => {
    const { call } = vivarium
    const iso = await writeIso(folder, 'given.iso')
    const { resultId: imageId } = await finish(call, call('images.import', { sources: [{ path: iso }] }))
    const isOpen = () => openFiles(qemuPid(folder, id)).some((file) => file.includes(imageId))

    expect(isOpen()).toBe(false)
    await call('disks.update', { id, disk: 'disk3', imageId })
    expect(isOpen()).toBe(true)
    await call('disks.update', { id, disk: 'disk3', imageId: '' })
    expect(isOpen()).toBe(false)
    expect(await readMark(call, id, 'vdb')).toBe('second')
  })

  test('a disk grows under the running guest', async () => {
    const { call } = vivarium
    await call('disks.resize', { id, disk: 'disk1', mib: 20 })

    await expect.poll(() => shell(call, id, 'cat /sys/block/vdb/size'), { timeout: 10_000 }).toBe(String(20 * 2048))
    expect(await readMark(call, id, 'vdb')).toBe('second')
    expect((await call('disks.list', { id })).find((disk) => disk.id === 'disk1')).toMatchObject({ bytes: 20 * MIB })
  })

  test('limits slow the disks down at once, and go again', async () => {
    const { call } = vivarium
    const writing = 'while [ ! -e /tmp/enough ]; do dd if=/dev/zero of=/dev/vda bs=64k count=64 conv=fsync; done'
    /** Bytes a second, of each second after the first so many. */
    const ratesAfter = async (seconds: number) =>
      (await call('domains.load', { id })).slice(seconds).map(({ diskWritePerSecond }) => diskWritePerSecond)
    const fastestAfter = async (seconds: number) => Math.max(...(await ratesAfter(seconds)))
    /** Those that have begun: a change shows in the ones after. */
    const begun = async () => (await ratesAfter(0)).length + 1

    await shell(call, id, `(${writing}) > /dev/null 2>&1 &`)
    await expect.poll(() => fastestAfter(0), LONG).toBeGreaterThan(2 * MIB)

    await call('domains.update', { id, patch: { diskLimits: { writeBytes: MIB } } })
    const slow = await begun()
    await expect.poll(async () => (await ratesAfter(slow)).filter((rate) => rate > 0).length, LONG).toBeGreaterThan(3)
    expect(await fastestAfter(slow)).toBeLessThan(2 * MIB)

    await call('domains.update', { id, patch: { diskLimits: {} } })
    const free = await begun()
    await expect.poll(() => fastestAfter(free), LONG).toBeGreaterThan(2 * MIB)
    await shell(call, id, 'touch /tmp/enough')
  })

  test('memory is taken from the running guest, and given back', async () => {
    const { call } = vivarium
    const free = async () => Number(await shell(call, id, "awk '/MemFree/ {print $2}' /proc/meminfo")) / 1024
    const before = await free()
    const target = Math.round(128 - before / 2)

    await call('domains.setMemory', { id, memoryMiB: target })
    await until(call, id, ({ memoryNowMiB }) => (memoryNowMiB ?? 128) <= target + 1, 30_000)
    expect(await free()).toBeLessThan(before - 8)
    await call('domains.setMemory', { id, memoryMiB: 128 })
    await until(call, id, ({ memoryNowMiB }) => memoryNowMiB === 128, 30_000)
    await expect.poll(free, { timeout: 10_000 }).toBeGreaterThan(before - 8)
  })

  test('a detached disk keeps its content; a removed one lives on in a snapshot', async () => {
    const { call } = vivarium
    await call('domains.forceOff', { id })
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, memory: false }))
    await call('disks.update', { id, disk: 'disk1', attached: false })
    await startAndWait(call, id)
    expect(await readMark(call, id, 'vdb'), 'the next one takes its place').toBe('third')
    await call('domains.forceOff', { id })
    await call('disks.update', { id, disk: 'disk1', attached: true })
    await call('disks.remove', { id, disk: 'disk2' })
    await startAndWait(call, id)
    expect(await readMark(call, id, 'vdb')).toBe('second')
    expect(await shell(call, id, 'ls /dev/vdc 2>/dev/null || echo none')).toBe('none')

    await finish(call, call('snapshots.revert', { id, snapshotId }))
    await startAndWait(call, id)

    expect(await readMark(call, id, 'vdb')).toBe('second')
    expect(await readMark(call, id, 'vdc')).toBe('third')
    await call('domains.forceOff', { id })
  })
})

/** What a process has open. */
function openFiles(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((descriptor) => readlinkSync(`/proc/${pid}/fd/${descriptor}`))
}
