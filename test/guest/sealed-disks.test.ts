import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineId } from '../../src-main/contract'
import { readMark, startAndWait, writeMark } from '../support/guest-disks'
import { fileProcess } from '../support/file-process'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

const MARK = 'nobody shall read this on the host'
const PASSPHRASE = 'correct horse battery'
const OTHER = 'and this belongs to the snapshot'

describe.each<[EngineId, string, string]>([
  ['embedded', '', 'sda'],
  ['qemu', NO_QEMU, 'vda'],
])('sealed disks of a guest on %s', (engine, missing, disk) => {
  const folder = temporaryFolderForFile()
  let vivarium: TestVivarium
  let id = ''

  beforeAll(async () => {
    if (missing) return
    await seedStarter(folder)
    vivarium = await openVivarium(folder)
    await vivarium.call('settings.update', { sealDisks: true })
    id = await startDomain(vivarium.call, 'Sealed', { engine, diskMiB: 32 })
  })
  afterAll(async () => {
    if (missing) return
    await vivarium.close()
    await endMachines(folder)
  })

  const read = () => readMark(vivarium.call, id, disk)
  const write = (text: string) => writeMark(vivarium.call, id, text, disk)

  test.skipIf(missing)('what is written is on no file of the host, unless disks are not sealed', async () => {
    const { call } = vivarium
    await write(MARK)
    await call('settings.update', { sealDisks: false })
    const open = await startDomain(call, 'Open', { engine, diskMiB: 32 })
    await writeMark(call, open, 'everybody may read this', disk)
    await call('domains.forceOff', { id: open })
    await call('domains.forceOff', { id })

    expect(holders(folder, 'everybody may read this')).not.toEqual([])
    expect(holders(folder, MARK)).toEqual([])
    await startAndWait(call, id)
    expect(await read()).toBe(MARK)
  })

  test.skipIf(missing)('a snapshot of the running guest has its disk, and gives it back', async () => {
    const { call } = vivarium
    await write(OTHER)
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, memory: true }))
    await write('overwritten')
    expect(await read()).toBe('overwritten')

    await finish(call, call('snapshots.revert', { id, snapshotId }))
    await until(call, id, ({ agent }) => agent === 'ready')

    expect(await read()).toBe(OTHER)
  })

  test.skipIf(missing)('a saved guest goes on with its disk', async () => {
    const { call } = vivarium
    await finish(call, call('domains.save', { id }))
    await finish(call, call('domains.start', { id }))
    await until(call, id, ({ agent }) => agent === 'ready')

    await write('after the save')
    expect(await read()).toBe('after the save')
  })

  test.skipIf(missing)('its policy limits the disk, and the view says so', async () => {
    const { call } = vivarium
    const { policy } = await call('policy.get', { id })
    const io = [{ device: 'disk', readBytes: 0, writeBytes: 1e9, readOps: 0, writeOps: 0, burstMs: 100 }]
    await call('policy.set', { id, policy: { ...policy, limits: { ...policy.limits, io } } })

    const { devices } = await call('files.get', { id })
    expect(devices.find(({ device }) => device === 'disk')).toMatchObject({
      enforced: true,
      rates: { writeBytes: 1e9 },
    })
    expect(await read()).toBe('after the save')
  })

  test.skipIf(missing)('what was synced outlives the end of the file process, and the cut is told', async () => {
    const { call } = vivarium
    await write('synced before the end')
    await shell(
      call,
      id,
      `(while :; do dd if=/dev/zero of=/dev/${disk} bs=64k seek=16 count=64 conv=notrunc,fsync; done) >/dev/null 2>&1 &`,
    )
    process.kill(fileProcess(), 'SIGKILL')

    expect(await read()).toBe('synced before the end')
    const log = await call('log.read', { domainId: id })
    expect(log.filter(({ event }) => event === 'files.disks-cut')).toHaveLength(1)
    await shell(call, id, 'kill %1 2>/dev/null; pkill dd; true')
    await write('after the end')
    expect(await read()).toBe('after the end')
  })

  test.skipIf(missing)('without its key it does not start, and says why', async () => {
    await vivarium.call('domains.forceOff', { id })
    await vivarium.call('keys.protect', { protection: 'passphrase', passphrase: PASSPHRASE })
    await vivarium.close()
    vivarium = await openVivarium(folder)

    const refused = finish(vivarium.call, vivarium.call('domains.start', { id }))
    await expect(refused).rejects.toMatchObject({
      kind: 'denied',
      hint: expect.stringContaining('passphrase') as string,
    })
    expect((await vivarium.call('disks.list', { id }))[0]).toMatchObject({ sealed: true })
    expect((await vivarium.call('domains.get', { id })).state).toBe('off')

    await vivarium.call('keys.unlock', { passphrase: PASSPHRASE })
    await startAndWait(vivarium.call, id)
    expect(await read()).toBe('after the end')
  })

  test.skipIf(missing)('a clone has the content for itself, and nothing is left of what is deleted', async () => {
    const { call } = vivarium
    await call('domains.forceOff', { id })
    const { resultId: clone } = await finish(call, call('domains.clone', { id, linked: false }))
    await startAndWait(call, clone)
    expect(await readMark(call, clone, disk)).toBe('after the end')
    await call('domains.forceOff', { id: clone })

    for (const each of [id, clone]) {
      await call('domains.delete', { id: each })
      await finish(call, call('trash.empty', {}))
    }
    expect(filesIn(path.join(folder, 'volumes'))).toEqual([])
  })

  // an embedded guest ends with Vivarium
  if (engine === 'qemu') {
    test.skipIf(missing)('a guest that outlives Vivarium finds its disk again', async () => {
      await vivarium.call('settings.update', { sealDisks: true })
      id = await startDomain(vivarium.call, 'Outlives', { engine, diskMiB: 32 })
      await write(MARK)
      await vivarium.close()

      vivarium = await openVivarium(folder)
      await vivarium.call('keys.unlock', { passphrase: PASSPHRASE })
      await until(vivarium.call, id, ({ state, agent }) => state === 'running' && agent === 'ready')

      await shell(vivarium.call, id, 'echo 3 > /proc/sys/vm/drop_caches')
      expect(await read()).toBe(MARK)
      await vivarium.call('domains.forceOff', { id })
    })
  }
})

function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name))
}

/** The files in `folder` that have this in them. */
function holders(folder: string, text: string): string[] {
  return filesIn(folder).filter((file) => readFileSync(file).includes(text))
}
