import { readdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentFiles, damagedFiles, readMark, startAndWait, writeMark } from '../support/guest-disks'
import { startMain, type MainProcess } from '../support/main-process'
import { endMachines, NO_QEMU, qemuPid } from '../support/qemu-machines'
import { seededRandom } from '../support/seeded-random'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, shell, startDomain, until } from '../support/vivarium'

const folder = temporaryFolderForFile()
/** Moments after the call, milliseconds: spread, and a little different each time. */
const { random } = seededRandom()
const MOMENTS = [3, 40, 90, 180, 350].map((ms) => Math.round(ms * (0.6 + random() * 0.8)))

describe.skipIf(NO_QEMU !== '')(`crashes around QEMU ${NO_QEMU}`, () => {
  let main: MainProcess
  let id = ''

  beforeAll(async () => {
    await seedStarter(folder)
    main = await startMain(folder)
    id = await startDomain(main.call, 'Victim', { engine: 'qemu', memoryMiB: 80, diskMiB: 64 })
  })

  afterAll(async () => {
    await main.kill()
    await endMachines(folder)
  })

  /** Begins something, kills main after a while; tells whether it had been acknowledged by then. */
  async function crashDuring(ms: number, begin: () => Promise<unknown>): Promise<boolean> {
    const outcome = begin().then(
      () => true,
      () => false,
    )
    const acknowledged = await Promise.race([outcome, delay(ms, false)])
    await main.kill()
    await outcome
    main = await startMain(folder)
    return acknowledged
  }

  /** The guest runs as if nothing had been, and nothing is left that nobody acknowledged. */
  async function expectWhole(mark: string): Promise<void> {
    const { state } = await main.call('domains.get', { id })
    expect(state).toBe('running')
    await until(main.call, id, ({ agent }) => agent === 'ready')
    expect(await readMark(main.call, id)).toBe(mark)
    await writeMark(main.call, id, mark)
    const snapshots = await main.call('snapshots.list', { id })
    expect(snapshots.filter(({ damage }) => damage !== '')).toEqual([])
    const folders = readdirSync(path.join(folder, 'domains', id), { recursive: true }).map(String)
    expect(folders.filter((name) => name.includes('partial'))).toEqual([])
    expect(contentFiles(folder).filter((name) => !name.endsWith('.qcow2'))).toEqual([])
    expect(damagedFiles(folder)).toEqual([])
  }

  /** Reverts to every snapshot in turn: each holds the mark that it is named by. */
  async function expectSnapshots(): Promise<void> {
    for (const { id: snapshotId, name } of await main.call('snapshots.list', { id })) {
      await finish(main.call, main.call('snapshots.revert', { id, snapshotId }))
      if ((await main.call('domains.get', { id })).state !== 'running') await startAndWait(main.call, id)
      expect(await readMark(main.call, id)).toBe(name)
    }
  }

  test('kill -9 of QEMU: its domain is crashed, others run on, its disk is sound, it starts again', async () => {
    const other = await startDomain(main.call, 'Bystander', { engine: 'qemu', memoryMiB: 80 })
    await writeMark(main.call, id, 'before')

    process.kill(qemuPid(folder, id), 'SIGKILL')

    const crashed = await until(main.call, id, ({ state }) => state === 'crashed', 10_000)
    expect(crashed.stateReason).toContain('QEMU ended unexpectedly')
    expect(await shell(main.call, other, 'echo fine')).toBe('fine')
    expect(damagedFiles(folder)).toEqual([])
    await startAndWait(main.call, id)
    expect(await readMark(main.call, id)).toBe('before')
    await main.call('domains.forceOff', { id: other })
  })

  test.each([true, false])('kill -9 of main at any moment of a snapshot, memory: %s', async (memory) => {
    for (const ms of MOMENTS) {
      const name = `${memory ? 'memory' : 'disks'} at ${ms}`
      await writeMark(main.call, id, name)
      const acknowledged = await crashDuring(ms, async () =>
        finish(main.call, main.call('snapshots.create', { id, name, memory })),
      )
      await expectWhole(name)
      const names = (await main.call('snapshots.list', { id })).map((snapshot) => snapshot.name)
      if (acknowledged) expect(names).toContain(name)
    }
    await expectSnapshots()
  })

  test('kill -9 of main at any moment of a revert: the domain starts, with what it had or was to have', async () => {
    const [target] = await takeTwo()
    for (const ms of MOMENTS) {
      await writeMark(main.call, id, 'present')
      await crashDuring(ms, async () => finish(main.call, main.call('snapshots.revert', { id, snapshotId: target })))
      const { state } = await main.call('domains.get', { id })
      if (state !== 'running') await startAndWait(main.call, id)
      await until(main.call, id, ({ agent }) => agent === 'ready')
      expect(['present', 'target']).toContain(await readMark(main.call, id))
      expect(damagedFiles(folder)).toEqual([])
    }
  })

  test('kill -9 of main at any moment of a deletion with its merge: all other content is there', async () => {
    for (const ms of MOMENTS.slice(0, 3)) {
      const [target, child] = await takeTwo()
      await main.call('domains.forceOff', { id })
      await crashDuring(ms, async () => finish(main.call, main.call('snapshots.delete', { id, snapshotId: target })))
      expect(damagedFiles(folder)).toEqual([])
      expect(contentFiles(folder).filter((name) => !name.endsWith('.qcow2'))).toEqual([])
      await finish(main.call, main.call('snapshots.revert', { id, snapshotId: child }))
      await startAndWait(main.call, id)
      expect(await readMark(main.call, id)).toBe('child')
    }
  })

  test('kill -9 of main at any moment of a full clone: a whole one, or nothing of it', async () => {
    await writeMark(main.call, id, 'cloned')
    for (const ms of MOMENTS) {
      const files = contentFiles(folder).length
      const name = `Clone at ${ms}`
      const acknowledged = await crashDuring(ms, async () =>
        finish(main.call, main.call('domains.clone', { id, name })),
      )
      await expectWhole('cloned')
      const clone = (await main.call('domains.list', {})).find((domain) => domain.name === name)
      if (acknowledged) expect(clone?.state).toBe('saved')
      if (!clone) continue
      await startAndWait(main.call, clone.id)
      expect(await readMark(main.call, clone.id)).toBe('cloned')
      await main.call('domains.forceOff', { id: clone.id })
      await main.call('domains.delete', { id: clone.id })
      await finish(main.call, main.call('trash.empty', {}))
      expect(contentFiles(folder).length).toBeLessThanOrEqual(files + 1)
    }
  })

  /** Two snapshots of the disks, one upon the other. */
  async function takeTwo(): Promise<[string, string]> {
    const take = async (name: string) => {
      await writeMark(main.call, id, name)
      return (await finish(main.call, main.call('snapshots.create', { id, name, memory: name === 'target' }))).resultId
    }
    return [await take('target'), await take('child')]
  }
})
