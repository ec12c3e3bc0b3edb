import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { kindOf, stateOf } from '../support/outcome'
import { openScripted, runningDomain, scriptedDomain } from '../support/scripted-vivarium'
import { finish, until, type Call } from '../support/vivarium'

/** A running domain with a disk, and a snapshot of it. */
async function withSnapshot(call: Call) {
  const id = await runningDomain(call, 'One', { diskMiB: 1 })
  const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, name: 'A' }))
  return { id, snapshotId }
}

function revert(call: Call, id: string, snapshotId: string): Promise<string> {
  return kindOf(call('snapshots.revert', { id, snapshotId }).then((task) => finish(call, task)))
}

describe('reverting', () => {
  test('puts machine, disk and memory size back, and runs again what ran before', async () => {
    const { call, guests, folder } = await openScripted()
    const { id, snapshotId } = await withSnapshot(call)

    const outcome = await revert(call, id, snapshotId)

    expect(outcome).toBe('done')
    expect(await stateOf(call, id)).toBe('running')
    expect(guests.map((guest) => guest.alive)).toEqual([false, true])
    expect(guests.at(-1)?.spec?.resumeFrom).toContain(id)
    expect(readdirSync(join(folder, 'domains', id)).filter((name) => name.includes('partial'))).toEqual([])
  })

  test('to a snapshot whose disk is spoilt is refused, and what runs goes on', async () => {
    const { call, guests, folder } = await openScripted()
    const { id, snapshotId } = await withSnapshot(call)
    writeFileSync(join(folder, 'domains', id, 'snapshots', snapshotId, 'disk.layer'), Buffer.alloc(10_000, 'x'))

    const outcome = await revert(call, id, snapshotId)

    expect(outcome).toBe('damaged')
    expect(await stateOf(call, id)).toBe('running')
    expect(guests.map((guest) => guest.alive)).toEqual([true])
    expect(existsSync(join(folder, 'domains', id, 'disk.layer'))).toBe(true)
    expect(existsSync(join(folder, 'domains', id, 'incoming-partial'))).toBe(false)
  })

  test('of a saved domain that cannot be done leaves it saved', async () => {
    const { call, folder } = await openScripted()
    const { id, snapshotId } = await withSnapshot(call)
    await finish(call, call('domains.save', { id }))
    writeFileSync(join(folder, 'domains', id, 'snapshots', snapshotId, 'disk.layer'), 'x')

    const outcome = await revert(call, id, snapshotId)

    expect(outcome).toBe('damaged')
    expect(await stateOf(call, id)).toBe('saved')
    expect(await kindOf(finish(call, call('domains.start', { id })))).toBe('done')
  })

  test.each(['disk.layer', 'machine.state'])('to a snapshot that lost its %s is not offered', async (name) => {
    const { call, folder } = await openScripted()
    const { id, snapshotId } = await withSnapshot(call)
    rmSync(join(folder, 'domains', id, 'snapshots', snapshotId, name))

    const [snapshot] = await call('snapshots.list', { id })

    expect(snapshot?.damage).toMatch(/missing\.$/)
    expect(await revert(call, id, snapshotId)).toBe('damaged')
    expect(await stateOf(call, id)).toBe('running')
    expect(await kindOf(call('snapshots.delete', { id, snapshotId }).then((task) => finish(call, task)))).toBe('done')
  })

  test('to a snapshot from before the first start takes the disk back to empty', async () => {
    const { call, folder } = await openScripted()
    const id = await scriptedDomain(call, 'One', { diskMiB: 1 })
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id }))
    await finish(call, call('domains.start', { id }))
    await call('domains.forceOff', { id })

    const outcome = await revert(call, id, snapshotId)

    expect(outcome).toBe('done')
    expect(await stateOf(call, id)).toBe('off')
    expect(existsSync(join(folder, 'domains', id, 'disk.layer'))).toBe(false)
  })

  test('to the snapshot of another domain is not possible', async () => {
    const { call } = await openScripted()
    const { snapshotId } = await withSnapshot(call)
    const other = await scriptedDomain(call, 'Other')

    expect(await revert(call, other, snapshotId)).toBe('not-found')
    expect(await kindOf(call('snapshots.delete', { id: other, snapshotId }))).toBe('not-found')
    expect(await kindOf(call('snapshots.rename', { id: other, snapshotId, name: 'Mine' }))).toBe('not-found')
  })
})

describe('a tree of snapshots', () => {
  test('keeps its shape when one is deleted, and across a restart', async () => {
    const { call, folder, close } = await openScripted()
    const { id, snapshotId: a } = await withSnapshot(call)
    const take = async (name: string) => (await finish(call, call('snapshots.create', { id, name }))).resultId
    const b = await take('B')
    await revert(call, id, a)
    const c = await take('C')
    const d = await take('D')
    await finish(call, call('snapshots.delete', { id, snapshotId: c }))
    await until(call, id, (domain) => domain.state === 'running')
    const shape = async (from: Call) =>
      (await from('snapshots.list', { id })).map(({ id: one, parentId, current }) => [one, parentId, current])

    const before = await shape(call)
    await close()
    const { call: again } = await openScripted({}, folder)

    expect(before).toEqual([
      [a, null, false],
      [b, a, false],
      [d, a, true],
    ])
    expect(await shape(again)).toEqual(before)
  })
})
