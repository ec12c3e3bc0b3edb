import { describe, expect, test } from 'vitest'
import { Storage, type TaskRecord } from '../../storage'
import { VmmError } from '../../vmm/model/errors'
import { kindOf } from '../support/outcome'
import { deferred, openScripted, scriptedDomain, scriptedFolder } from '../support/scripted-vivarium'
import { finish, newClient, until } from '../support/vivarium'

describe('a task', () => {
  test('is seen by every client from its beginning to its outcome', async () => {
    const hold = deferred()
    const vivarium = await openScripted({ start: () => hold.promise })
    const { call, events } = vivarium
    const other = newClient(vivarium.services)
    const id = await scriptedDomain(call)

    const task = await call('domains.start', { id })
    const seen = await other('tasks.list', {})
    const waiting = other('tasks.wait', { id: task.id, waitMs: 10_000 })
    hold.resolve()

    expect(task).toMatchObject({
      state: 'running',
      domainId: id,
      title: 'Starting One',
      cancellable: true,
      endedAt: null,
    })
    expect(seen.map((one) => one.id)).toContain(task.id)
    expect(await waiting).toMatchObject({ state: 'done', resultId: id, failure: null, cancellable: false })
    const published = events.flatMap((event) => (event.topic === 'tasks' ? event.payload.changed : []))
    expect(published.at(0)).toMatchObject({ id: task.id, state: 'running' })
    expect(published.at(-1)).toMatchObject({ id: task.id, state: 'done' })
    expect(published.map((one) => one.step)).toContain('Booting')
  })

  test('that fails has its failure, which a restart does not lose', async () => {
    const folder = await scriptedFolder()
    const before = await openScripted(
      {
        start: () => {
          throw new VmmError('unsupported', 'No such processor.', { hint: 'Buy another.' })
        },
      },
      folder,
    )
    const id = await scriptedDomain(before.call)
    const { id: taskId } = await before.call('domains.start', { id })
    const failed = await before.call('tasks.wait', { id: taskId, waitMs: 10_000 })
    await before.close()
    const { call } = await openScripted({}, folder)

    const remembered = await call('tasks.wait', { id: taskId, waitMs: 10_000 })

    expect(failed).toMatchObject({
      state: 'failed',
      failure: { kind: 'unsupported', message: 'No such processor.', hint: 'Buy another.' },
    })
    expect(remembered).toMatchObject({ state: 'failed', failure: failed.failure, title: failed.title })
  })

  test('is cancelled once, and says so to who cancels it again', async () => {
    const { call, guests } = await openScripted({ start: () => new Promise(() => undefined) })
    const id = await scriptedDomain(call)
    const task = await call('domains.start', { id })
    await expect.poll(() => guests.length).toBe(1)

    await call('tasks.cancel', { id: task.id })
    const ended = await call('tasks.wait', { id: task.id, waitMs: 10_000 })

    expect(ended).toMatchObject({ state: 'cancelled', failure: null })
    expect(await call('tasks.cancel', { id: task.id })).toMatchObject({ state: 'cancelled' })
    expect(await call('domains.get', { id })).toMatchObject({ state: 'off', taskId: null })
    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })

  test('is cancelled before anything of it was begun', async () => {
    const { call, guests } = await openScripted()
    const id = await scriptedDomain(call)
    const starting = call('domains.start', { id })
    const { taskId } = await call('domains.get', { id })

    await call('tasks.cancel', { id: taskId ?? '' })

    expect((await call('tasks.wait', { id: (await starting).id, waitMs: 10_000 })).state).toBe('cancelled')
    expect(await call('domains.get', { id })).toMatchObject({ state: 'off', taskId: null })
    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })

  test('that cannot be cancelled says so and goes on', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)
    await finish(call, call('domains.start', { id }))
    await until(call, id, (domain) => domain.agent === 'ready')

    const task = await call('domains.save', { id })
    const refused = await kindOf(call('tasks.cancel', { id: task.id }))

    expect(refused).toBe('unsupported')
    expect((await finish(call, task)).state).toBe('done')
  })

  test('that nobody knows is kind not-found', async () => {
    const { call } = await openScripted()

    expect(await kindOf(call('tasks.wait', { id: 'none', waitMs: 10_000 }))).toBe('not-found')
    expect(await kindOf(call('tasks.cancel', { id: 'none' }))).toBe('not-found')
  })

  test('that a crash cut off is told as not finished', async () => {
    const folder = await scriptedFolder()
    const storage = await Storage.open(folder)
    const record: TaskRecord = {
      id: 'cut',
      kind: 'domain.start',
      title: 'Starting One',
      domainId: null,
      state: 'running',
      startedAt: 1,
      endedAt: null,
      failure: null,
      resultId: '',
    }
    await storage.tasks.put(record)
    await storage.tasks.put({ ...record, id: 'done', state: 'done', endedAt: 2 })
    await storage.close()

    const { call } = await openScripted({}, folder)

    expect(await call('tasks.list', {})).toMatchObject([
      {
        id: 'cut',
        state: 'failed',
        failure: { kind: 'cancelled', message: 'Vivarium ended before this was finished.' },
      },
      { id: 'done', state: 'done', failure: null },
    ])
  })

  test('a wait ends with its client', async () => {
    const vivarium = await openScripted({ start: () => new Promise(() => undefined) })
    const session = vivarium.services.attach(() => undefined)
    const id = await scriptedDomain(vivarium.call)
    const task = await vivarium.call('domains.start', { id })
    const started = performance.now()

    const waiting = session.call('tasks.wait', { id: task.id, waitMs: 20_000 })
    session.close()
    await waiting

    expect(performance.now() - started).toBeLessThan(2000)
  })
})

describe('the starter image', () => {
  test('asked for by two at once is prepared once', async () => {
    const vivarium = await openScripted()
    const other = newClient(vivarium.services)

    const [mine, yours] = await Promise.all([
      vivarium.call('images.prepareStarter', {}),
      other('images.prepareStarter', {}),
    ])
    await vivarium.call('tasks.cancel', { id: mine.id })

    expect(yours.id).toBe(mine.id)
    expect((await vivarium.call('tasks.wait', { id: mine.id, waitMs: 15_000 })).endedAt).not.toBeNull()
  })
})
