import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Storage } from '../../storage'
import { kindOf } from '../support/outcome'
import { rawSql } from '../support/raw-database'
import { domainRecord } from '../support/records'
import {
  deferred,
  IMAGE_ID,
  openScripted,
  runningDomain,
  scriptedDomain,
  scriptedFolder,
} from '../support/scripted-vivarium'
import { finish, newClient, until, type Call } from '../support/vivarium'

async function names(call: Call): Promise<string[]> {
  return (await call('domains.list', {})).map((domain) => domain.name).sort()
}

describe('at the same time', () => {
  test('changes of one domain do not lose each other’s fields', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)

    await Promise.all([
      call('domains.update', { id, patch: { notes: 'noted' } }),
      call('domains.update', { id, patch: { group: 'Lab' } }),
      call('domains.update', { id, patch: { memoryMiB: 256 } }),
      call('domains.update', { id, patch: { name: 'Renamed' } }),
      call('domains.update', { id, patch: { instantStart: false } }),
    ])

    expect(await call('domains.get', { id })).toMatchObject({
      name: 'Renamed',
      notes: 'noted',
      group: 'Lab',
      memoryMiB: 256,
      instantStart: false,
    })
  })

  test('one name is given once, by creating, renaming, cloning and restoring', async () => {
    const { call } = await openScripted()
    const [a, b] = [await scriptedDomain(call, 'A'), await scriptedDomain(call, 'B')]
    const trashed = await scriptedDomain(call, 'Same')
    await call('domains.delete', { id: trashed })

    const outcomes = await Promise.all([
      kindOf(scriptedDomain(call, 'Same')),
      kindOf(scriptedDomain(call, 'Same')),
      kindOf(call('domains.update', { id: a, patch: { name: 'Same' } })),
      kindOf(call('trash.restore', { id: trashed })),
      kindOf(finish(call, call('domains.clone', { id: b, name: 'Same' }))),
    ])

    expect((await names(call)).filter((name) => name === 'Same')).toEqual(['Same'])
    expect(new Set(await names(call)).size).toBe((await names(call)).length)
    expect(outcomes.filter((outcome) => !['done', 'conflict'].includes(outcome))).toEqual([])
  })

  test('of two tasks on one domain the second is refused with kind conflict, and says so to every client', async () => {
    const hold = deferred()
    const vivarium = await openScripted({ start: () => hold.promise })
    const other = newClient(vivarium.services)
    const id = await scriptedDomain(vivarium.call)

    const outcomes = await Promise.all([
      kindOf(vivarium.call('domains.start', { id })),
      kindOf(other('domains.start', { id })),
      kindOf(other('domains.clone', { id })),
      kindOf(other('snapshots.create', { id })),
      kindOf(other('domains.delete', { id })),
      kindOf(other('domains.update', { id, patch: { notes: 'x' } })),
    ])
    hold.resolve()

    expect(outcomes).toEqual(['done', 'conflict', 'conflict', 'conflict', 'conflict', 'conflict'])
    await until(other, id, (domain) => domain.state === 'running' && domain.taskId === null)
  })

  test('delete and start: one of them', async () => {
    const { call, guests } = await openScripted()
    for (let round = 0; round < 5; round++) {
      const id = await scriptedDomain(call, `D${round}`)
      const both = [
        () => call('domains.delete', { id }),
        () => call('domains.start', { id }).then((task) => finish(call, task)),
      ]
      const ordered = round % 2 ? both : both.reverse()

      const outcomes = await Promise.all(ordered.map((verb) => kindOf(verb())))

      const trashed = (await call('trash.list', {})).filter((one) => one.id === id).length
      const alive = guests.filter((guest) => guest.alive && guest.spec?.domainId === id).length
      expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1)
      expect(trashed + alive).toBe(1)
    }
  })

  test('revert and start, delete, or another revert: never two at once', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)
    await finish(call, call('domains.start', { id }))
    await until(call, id, (domain) => domain.agent === 'ready')
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id }))
    await call('domains.forceOff', { id })
    const revert = () => call('snapshots.revert', { id, snapshotId }).then((task) => finish(call, task))

    const outcomes = await Promise.all(
      [
        revert,
        revert,
        () => call('domains.start', { id }).then((task) => finish(call, task)),
        () => call('domains.delete', { id }),
      ].map((verb) => kindOf(verb())),
    )

    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1)
    expect(outcomes.filter((outcome) => !['done', 'conflict', 'not-found', 'state'].includes(outcome))).toEqual([])
  })

  test('pause, resume, save and force off of one domain leave a state that fits its machine', async () => {
    const { call, guests } = await openScripted()
    const id = await runningDomain(call)
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        [
          () => call('domains.pause', { id }),
          () => call('domains.resume', { id }),
          () => call('domains.save', { id }).then((task) => finish(call, task)),
          () => call('domains.discard', { id }),
          () => call('domains.forceOff', { id }),
          () => call('domains.start', { id }).then((task) => finish(call, task)),
        ].map((verb) => kindOf(verb())),
      )
      const { state, startedAt, taskId } = await call('domains.get', { id })

      expect(taskId).toBeNull()
      expect(['running', 'paused'].includes(state)).toBe(startedAt !== null)
      expect(guests.filter((guest) => guest.alive)).toHaveLength(startedAt === null ? 0 : 1)
      await kindOf(call('domains.resume', { id }))
      await kindOf(finish(call, call('domains.start', { id })))
    }
  })

  test('snapshots renamed while they are deleted do not come back', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id }))

    await Promise.all([
      kindOf(call('snapshots.rename', { id, snapshotId, name: 'Renamed' })),
      kindOf(call('snapshots.delete', { id, snapshotId }).then((task) => finish(call, task))),
      kindOf(call('snapshots.rename', { id, snapshotId, name: 'Again' })),
    ])

    expect(await call('snapshots.list', { id })).toEqual([])
    expect(await call('domains.get', { id })).toMatchObject({ snapshotCount: 0 })
    expect(await kindOf(call('domains.update', { id, patch: { notes: 'still storable' } }))).toBe('done')
  })
})

describe('the trash', () => {
  test('gives a domain back under another name when its own is taken', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call, 'Web')
    await call('domains.delete', { id })
    await scriptedDomain(call, 'Web')

    expect((await call('trash.restore', { id })).name).toBe('Web 2')
    expect(await names(call)).toEqual(['Web', 'Web 2'])
  })

  test('restores once, however often it is asked', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call, 'Web')
    await call('domains.delete', { id })

    const outcomes = await Promise.all([1, 2, 3].map(() => kindOf(call('trash.restore', { id }))))

    expect(outcomes.sort()).toEqual(['done', 'not-found', 'not-found'])
    expect(await names(call)).toEqual(['Web'])
  })

  test('restores or deletes for good, never half of each', async () => {
    const { call, folder } = await openScripted()
    const ids = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => scriptedDomain(call, `T${n}`)))
    for (const id of ids) await call('domains.delete', { id })

    const emptying = call('trash.empty', {}).then((task) => finish(call, task))
    await Promise.all([...ids.reverse().map((id) => kindOf(call('trash.restore', { id }))), emptying])

    const listed = (await call('domains.list', {})).map((domain) => domain.id).sort()
    expect(readdirSync(join(folder, 'domains')).sort()).toEqual(listed)
    expect(await call('trash.list', {})).toEqual([])
    for (const id of listed) expect(await kindOf(call('domains.update', { id, patch: { notes: 'x' } }))).toBe('done')
  })

  test('is not emptied of what is not in it', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)

    await finish(call, call('trash.empty', { ids: [id] }))

    expect(await names(call)).toEqual(['One'])
  })

  test('takes a damaged domain, and only that', async () => {
    const folder = await scriptedFolder()
    const damaged = domainRecord()
    const storage = await Storage.open(folder)
    await storage.domains.insert(damaged)
    await storage.close()
    await rawSql(join(folder, 'vivarium.db'), "UPDATE domains SET spec = '{'")
    const { call } = await openScripted({}, folder)
    const { id } = damaged
    const good = await scriptedDomain(call)

    const refused = await Promise.all([
      kindOf(call('domains.start', { id })),
      kindOf(call('domains.clone', { id })),
      kindOf(call('domains.update', { id, patch: { notes: '' } })),
      kindOf(call('snapshots.list', { id })),
    ])
    const states = (await call('domains.list', {})).map((domain) => domain.state)
    await call('domains.delete', { id })
    const restored = await kindOf(call('trash.restore', { id }))
    await finish(call, call('trash.empty', {}))

    expect(refused).toEqual(['damaged', 'damaged', 'damaged', 'damaged'])
    expect(states.sort()).toEqual(['damaged', 'off'])
    expect(restored).toBe('damaged')
    expect((await call('domains.list', {})).map((domain) => domain.id)).toEqual([good])
    expect(await call('trash.list', {})).toEqual([])
  })
})

describe('an image', () => {
  test('is not removed while a domain uses it, in the list or in the trash', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)

    const whileListed = await kindOf(call('images.remove', { id: IMAGE_ID }))
    await call('domains.delete', { id })
    const whileTrashed = await kindOf(call('images.remove', { id: IMAGE_ID }))
    await finish(call, call('trash.empty', {}))
    const unused = await kindOf(call('images.remove', { id: IMAGE_ID }))

    expect([whileListed, whileTrashed, unused]).toEqual(['conflict', 'conflict', 'done'])
    expect(await call('images.list', {})).toEqual([])
  })

  test('that is gone or damaged keeps its domain from starting, with the next step, and from nothing else', async () => {
    const { call, folder } = await openScripted()
    const id = await scriptedDomain(call)
    rmSync(join(folder, 'images', IMAGE_ID, 'initrd'))

    const failure: unknown = await finish(call, call('domains.start', { id })).catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: 'damaged', hint: expect.stringMatching(/.+/) })
    expect(await call('domains.get', { id })).toMatchObject({ state: 'off', taskId: null })
    expect(await kindOf(call('domains.clone', { id }).then((task) => finish(call, task)))).toBe('done')
    expect(await kindOf(call('snapshots.create', { id }).then((task) => finish(call, task)))).toBe('done')
    expect(await kindOf(call('domains.delete', { id }))).toBe('done')
  })

  test('that the database has lost shows as gone', async () => {
    const { call, folder, close } = await openScripted()
    const id = await scriptedDomain(call)
    await close()
    await rawSql(join(folder, 'vivarium.db'), 'DELETE FROM images')

    const { call: again } = await openScripted({}, folder)

    expect(await again('domains.get', { id })).toMatchObject({ imageName: '', imageKind: null, state: 'off' })
    expect(await kindOf(finish(again, again('domains.start', { id })))).toBe('not-found')
    expect(await kindOf(again('domains.clone', { id }).then((task) => finish(again, task)))).toBe('done')
  })
})

describe('deleting for good', () => {
  test('takes files, snapshots and record, and leaves those of others', async () => {
    const { call, folder } = await openScripted()
    const [mine, other] = [await scriptedDomain(call, 'Mine', { diskMiB: 1 }), await scriptedDomain(call, 'Other')]
    for (const id of [mine, other]) await finish(call, call('snapshots.create', { id }))
    await call('domains.delete', { id: mine })

    await finish(call, call('trash.empty', { ids: [mine] }))

    expect(existsSync(join(folder, 'domains', mine))).toBe(false)
    expect(await call('snapshots.list', { id: other })).toHaveLength(1)
    expect((await call('log.read', { domainId: mine })).map((entry) => entry.event)).toContain('domain.deleted')
  })
})
