import { existsSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ENGINE_IDS, type EngineId } from '../../vmm/model/domain'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { fillDisk, NO_SMALL_DISK, smallDiskForAll } from '../support/small-disk'
import { seedStarter } from '../support/starter'
import { finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

/** Room for the starter image, one boot snapshot, and a little more. */
const KIB = 500 * 1024

const CANNOT = { embedded: NO_SMALL_DISK, qemu: NO_SMALL_DISK || NO_QEMU }

for (const engine of ENGINE_IDS) {
  describe.skipIf(CANNOT[engine] !== '')(`${engine} on a full disk ${CANNOT[engine]}`, () => isTold(engine))
}

function isTold(engine: EngineId): void {
  const disk = smallDiskForAll(KIB)
  let vivarium: TestVivarium
  let id = ''

  beforeAll(async () => {
    // that the disk is full is said there, too
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
    await seedStarter(disk.folder)
    vivarium = await openVivarium(disk.folder)
    id = await startDomain(vivarium.call, 'Full', { engine, memoryMiB: 96, diskMiB: 64 })
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(disk.folder)
  })

  const filled = async <T>(kib: number, work: () => Promise<T>): Promise<T> => {
    const filler = fillDisk(disk.folder, kib)
    try {
      return await work()
    } finally {
      rmSync(filler)
    }
  }

  const leftovers = () =>
    readdirSync(path.join(disk.folder, 'domains'), { recursive: true })
      .map(String)
      .filter((name) => name.includes('partial'))

  test.each([200, 4000])('with %d KiB left a save is refused, and the guest goes on', async (kib) => {
    const { call } = vivarium
    await shell(call, id, `echo ${kib} > /root/note`)

    const failure: unknown = await filled(kib, () =>
      finish(call, call('domains.save', { id })).catch((error: unknown) => error),
    )

    expect(failure).toMatchObject({ kind: 'disk-full', hint: expect.stringContaining('Free some space') })
    expect(await call('domains.get', { id })).toMatchObject({ state: 'running', taskId: null })
    expect(existsSync(path.join(disk.folder, 'domains', id, 'machine.state'))).toBe(false)
    expect(leftovers()).toEqual([])
    expect(await shell(call, id, 'cat /root/note')).toBe(String(kib))
  })

  test.each([200, 4000])('with %d KiB left a snapshot is refused, and none is offered', async (kib) => {
    const { call } = vivarium

    const failure: unknown = await filled(kib, () =>
      finish(call, call('snapshots.create', { id })).catch((error: unknown) => error),
    )

    expect(failure).toMatchObject({ kind: 'disk-full' })
    expect(await call('snapshots.list', { id })).toEqual([])
    expect(existsSync(path.join(disk.folder, 'domains', id, 'snapshots')) && leftovers()).toEqual([])
    expect(await shell(call, id, 'echo fine')).toBe('fine')
  })

  test('with little left a clone is refused, and nothing of it stays', async () => {
    const { call } = vivarium

    const failure: unknown = await filled(2000, () =>
      finish(call, call('domains.clone', { id })).catch((error: unknown) => error),
    )

    expect(failure).toMatchObject({ kind: 'disk-full' })
    expect(readdirSync(path.join(disk.folder, 'domains'))).toEqual([id])
  })

  test('a guest that writes to its disk is paused, not lied to, and goes on when there is room', async () => {
    const { call } = vivarium
    const write =
      'head -c 8000000 /dev/urandom > /tmp/data; dd if=/tmp/data of=$(echo /dev/[sv]da) bs=64k conv=fsync 2>/dev/null'
    const compare = 'echo 3 > /proc/sys/vm/drop_caches; head -c 8000000 /dev/[sv]da | cmp - /tmp/data && echo same'
    const filler = fillDisk(disk.folder, 2000)

    await call('console.write', { id, bytes: Buffer.from(`${write}\r`) })
    const stalled = await until(call, id, (domain) => domain.state === 'paused', 60_000)
    const saved: unknown = await finish(call, call('domains.save', { id })).catch((error: unknown) => error)
    await call('domains.resume', { id }).catch(() => undefined)
    const again = await until(call, id, (domain) => domain.state === 'paused', 60_000)
    rmSync(filler)
    await call('domains.resume', { id })

    expect(stalled.stateReason).toContain('Make room, then resume.')
    expect(again.stateReason).toContain('Make room, then resume.')
    expect(saved).toMatchObject({ kind: 'disk-full' })
    await expect.poll(() => shell(call, id, 'pidof dd || echo done'), { timeout: 60_000 }).toBe('done')
    expect(await shell(call, id, compare)).toBe('same')
    expect((await call('domains.get', { id })).state).toBe('running')
  })

  test('with room again all of it works', async () => {
    const { call } = vivarium

    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id }))
    await finish(call, call('snapshots.revert', { id, snapshotId }))
    await finish(call, call('domains.save', { id }))
    await finish(call, call('domains.start', { id }))

    expect(await shell(call, id, 'cat /root/note')).toBe('4000')
  })
}
