import { rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  contentFiles,
  damagedFiles,
  noiseSum,
  readMark,
  startAndWait,
  writeMark,
  writeNoise,
} from '../support/guest-disks'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, shell, startDomain, type TestVivarium } from '../support/vivarium'

const NOISE_MIB = 2
const folder = temporaryFolderForFile()

describe.skipIf(NO_QEMU !== '')(`snapshots of QEMU machines ${NO_QEMU}`, () => {
  let vivarium: TestVivarium
  let id = ''
  /** Snapshots by name, and what the disk held in each. */
  const taken = new Map<string, { snapshotId: string; noise: string }>()

  beforeAll(async () => {
    await seedStarter(folder)
    vivarium = await openVivarium(folder)
    id = await startDomain(vivarium.call, 'Tree', { engine: 'qemu', memoryMiB: 96, diskMiB: 64 })
  })

  afterAll(async () => {
    await vivarium.close()
    await endMachines(folder)
  })

  async function take(name: string, memory: boolean): Promise<void> {
    const { call } = vivarium
    await writeMark(call, id, name)
    await shell(call, id, `echo ${name} > /root/note`)
    const noise = await writeNoise(call, id, NOISE_MIB)
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, name, memory }))
    taken.set(name, { snapshotId, noise })
  }

  async function revert(name: string): Promise<void> {
    const { call } = vivarium
    await finish(call, call('snapshots.revert', { id, snapshotId: taken.get(name)?.snapshotId ?? '' }))
    if ((await call('domains.get', { id })).state !== 'running') await startAndWait(call, id)
  }

  async function expectContent(name: string): Promise<void> {
    expect(await readMark(vivarium.call, id)).toBe(name.padEnd(512).trim())
    expect(await noiseSum(vivarium.call, id, NOISE_MIB)).toBe(taken.get(name)?.noise)
  }

  test('every branch of a tree keeps its memory and its disk', async () => {
    const { call } = vivarium
    await take('root', true)
    await take('left', true)
    await take('left leaf', false)
    await revert('root')
    await expectContent('root')
    expect(await shell(call, id, 'cat /root/note')).toBe('root')
    await take('right', false)
    await take('right leaf', true)
    await shell(call, id, 'echo lost > /root/note')
    await writeNoise(call, id, NOISE_MIB)

    for (const name of ['left', 'right leaf', 'root', 'left leaf', 'right']) {
      await revert(name)
      await expectContent(name)
      const hasMemory = !['left leaf', 'right'].includes(name)
      if (hasMemory) expect(await shell(call, id, 'cat /root/note')).toBe(name)
      else expect(await shell(call, id, 'cat /root/note 2>/dev/null || echo none')).toBe('none')
    }
    const list = await call('snapshots.list', { id })
    const nameOf = (wanted: string | null) => list.find((one) => one.id === wanted)?.name ?? null
    expect(list.map(({ name, parentId, live, damage }) => [name, nameOf(parentId), live, damage])).toEqual([
      ['root', null, true, ''],
      ['left', 'root', true, ''],
      ['left leaf', 'left', false, ''],
      ['right', 'root', false, ''],
      ['right leaf', 'right', true, ''],
    ])
  })

  test('a snapshot in the middle goes, and its file with it; all others read as before', async () => {
    const { call } = vivarium
    await finish(call, call('snapshots.revert', { id, snapshotId: taken.get('root')?.snapshotId ?? '' }))
    const before = contentFiles(folder)

    for (const name of ['left', 'right']) {
      await finish(call, call('snapshots.delete', { id, snapshotId: taken.get(name)?.snapshotId ?? '' }))
      taken.delete(name)
    }

    const after = contentFiles(folder)
    expect(after.filter((file) => !before.includes(file))).toEqual([])
    expect([before.length, after.length], 'one a snapshot, and the one being written').toEqual([6, 4])
    expect(damagedFiles(folder)).toEqual([])
    for (const name of taken.keys()) {
      await revert(name)
      await expectContent(name)
    }
  })

  test('linked clones outlive their source and the snapshot they came from', async () => {
    const { call } = vivarium
    await revert('left leaf')
    await finish(call, call('domains.shutdown', { id }))
    const files = contentFiles(folder).length
    const { resultId: linked } = await finish(call, call('domains.clone', { id, name: 'Linked', linked: true }))
    expect(contentFiles(folder).length, 'nothing was copied').toBe(files)
    await startAndWait(call, linked)
    const noise = taken.get('left leaf')?.noise
    expect(await noiseSum(call, linked, NOISE_MIB)).toBe(noise)
    await writeMark(call, linked, 'its own')
    await startAndWait(call, id)
    expect(await readMark(call, id)).toBe('left leaf')
    await call('domains.forceOff', { id })

    await finish(call, call('snapshots.delete', { id, snapshotId: taken.get('left leaf')?.snapshotId ?? '' }))
    await call('domains.delete', { id })
    await finish(call, call('trash.empty', {}))
    expect(await noiseSum(call, linked, NOISE_MIB)).toBe(noise)
    await finish(call, call('domains.shutdown', { id: linked }))
    await startAndWait(call, linked)

    expect(await readMark(call, linked)).toBe('its own')
    expect(await noiseSum(call, linked, NOISE_MIB)).toBe(noise)
    expect(damagedFiles(folder)).toEqual([])
    await call('domains.forceOff', { id: linked })
    expect(contentFiles(folder).length, 'one file for the one disk there is').toBe(1)
    id = linked
  })

  test('a full clone shares nothing with its source', async () => {
    const { call } = vivarium
    const before = contentFiles(folder)
    const { resultId: full } = await finish(call, call('domains.clone', { id, name: 'Full' }))
    for (const file of before) rmSync(path.join(folder, 'layers', file))

    await startAndWait(call, full)

    expect(await readMark(call, full)).toBe('its own')
    await call('domains.forceOff', { id: full })
    await call('domains.delete', { id })
    id = full
  })

  test('a template is not started, but cloned', async () => {
    const { call } = vivarium
    await call('domains.update', { id, patch: { template: true } })

    const refused: unknown = await finish(call, call('domains.start', { id })).catch((error: unknown) => error)
    const { resultId: clone } = await finish(call, call('domains.clone', { id, name: 'Of it', linked: true }))
    await startAndWait(call, clone)

    expect(refused).toMatchObject({ kind: 'state', hint: 'Clone it, and start the clone.' })
    expect(await readMark(call, clone)).toBe('its own')
    expect(await call('domains.get', { id: clone })).toMatchObject({ template: false, state: 'running' })
    await call('domains.forceOff', { id: clone })
  })
})
