import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { VmmError } from '../../vmm/model/errors'
import { kindOf, stateOf } from '../support/outcome'
import { SILENCE } from '../support/scripted-guest'
import { deferred, openScripted, runningDomain, scriptedDomain } from '../support/scripted-vivarium'
import { finish, until } from '../support/vivarium'

describe('a life', () => {
  test('of one domain: start, pause, resume, save, start, restart, shut down', async () => {
    const { call, guests } = await openScripted()
    const id = await runningDomain(call)
    const seen: string[] = []
    const note = async () => seen.push(await stateOf(call, id))

    await call('domains.pause', { id }).then(note)
    await call('domains.resume', { id }).then(note)
    await finish(call, call('domains.save', { id })).then(note)
    await finish(call, call('domains.start', { id })).then(note)
    await finish(call, call('domains.restart', { id })).then(note)
    await until(call, id, (domain) => domain.agent === 'ready')
    await finish(call, call('domains.shutdown', { id })).then(note)

    expect(seen).toEqual(['paused', 'running', 'saved', 'running', 'running', 'off'])
    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })

  test('a guest that would not renew its identity after a resume is asked once more', async () => {
    const vivarium = await openScripted()
    const { call } = vivarium
    const id = await runningDomain(call)
    await finish(call, call('domains.save', { id }))
    const refusals = [{ error: { desc: 'not yet' } }]
    vivarium.script = { agent: ({ execute }) => (execute === 'guest-exec' ? refusals.pop() : undefined) }

    await finish(call, call('domains.start', { id }))

    expect((await until(call, id, (domain) => domain.agent === 'ready', 10_000)).state).toBe('running')
    expect(refusals).toEqual([])
  })

  test('a boot snapshot that cannot be kept does not keep the guest from being used', async () => {
    const { call } = await openScripted({
      save: () => {
        throw new VmmError('disk-full', 'The disk is full.')
      },
    })

    const id = await runningDomain(call)

    expect(await stateOf(call, id)).toBe('running')
  })

  test('two cold boots of one image do not write the same boot snapshot at once', async () => {
    let writing = 0
    let most = 0
    const hold = deferred()
    const { call } = await openScripted({
      save: async () => {
        most = Math.max(most, ++writing)
        await hold.promise
        writing--
        return { bytes: 1 }
      },
    })
    const ids = [await scriptedDomain(call, 'A'), await scriptedDomain(call, 'B')]

    await Promise.all(ids.map((id) => finish(call, call('domains.start', { id }))))
    await expect.poll(() => writing).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 100))
    hold.resolve()

    expect(most).toBe(1)
    await Promise.all(ids.map((id) => until(call, id, (domain) => domain.agent === 'ready', 10_000)))
  })
})

describe('force off', () => {
  test.each(['the process hangs', 'the agent is silent'])('while starting, when %s, ends at once', async (why) => {
    const hang = new Promise(() => undefined)
    const vivarium = await openScripted()
    const { call, guests } = vivarium
    const id = await runningDomain(call)
    await call('domains.forceOff', { id })
    vivarium.script = why === 'the process hangs' ? { start: () => hang } : { agent: () => SILENCE }
    const task = await call('domains.start', { id })
    await until(call, id, (domain) => domain.state === 'starting')
    await expect.poll(() => guests.length).toBe(2)

    const started = performance.now()
    const { state } = await call('domains.forceOff', { id })

    expect(state).toBe('off')
    expect(performance.now() - started).toBeLessThan(2000)
    expect((await call('tasks.wait', { id: task.id })).state).toBe('cancelled')
    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })

  test.each(['save', 'snapshot', 'clone'] as const)(
    'during a %s ends with the domain off and nothing half-written',
    async (verb) => {
      const vivarium = await openScripted()
      const { call, folder, guests } = vivarium
      const id = await runningDomain(call)
      vivarium.script.save = () => new Promise(() => undefined)
      const begin = {
        save: () => call('domains.save', { id }),
        snapshot: () => call('snapshots.create', { id }),
        clone: () => call('domains.clone', { id }),
      }
      const task = await begin[verb]()
      await expect.poll(() => guests[0]?.received.filter(({ type }) => type === 'save').length).toBe(2)

      await call('domains.forceOff', { id })

      expect((await call('tasks.wait', { id: task.id, waitMs: 5000 })).state).toBe('cancelled')
      expect(await call('domains.list', {})).toMatchObject([{ id, state: 'off', taskId: null }])
      expect(await call('snapshots.list', { id })).toEqual([])
      expect(readdirSync(join(folder, 'domains'))).toEqual([id])
      expect(
        readdirSync(join(folder, 'domains', id), { recursive: true }).filter((name) =>
          /partial|machine/.test(String(name)),
        ),
      ).toEqual([])
      expect(await kindOf(finish(call, call('domains.start', { id })))).toBe('done')
    },
  )

  test('during a restart stays off', async () => {
    const { call, guests } = await openScripted({
      agent: ({ execute }) => (execute === 'guest-shutdown' ? SILENCE : undefined),
    })
    const id = await runningDomain(call)
    await call('domains.restart', { id })
    await until(call, id, (domain) => domain.state === 'stopping')

    await call('domains.forceOff', { id })
    await new Promise((resolve) => setTimeout(resolve, 200))

    expect(await stateOf(call, id)).toBe('off')
    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })

  test('at the very moment a task begins stays off', async () => {
    const { call, guests } = await openScripted()
    const id = await runningDomain(call)
    const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id }))

    const revert = call('snapshots.revert', { id, snapshotId })
    const off = call('domains.forceOff', { id })
    const [task] = await Promise.all([revert, off])
    await finish(call, task).catch(() => undefined)

    expect(['off', 'saved']).toContain(await stateOf(call, id))
    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })

  test('a hung pause does not stand in its way', async () => {
    const { call } = await openScripted({ pause: () => new Promise(() => undefined) })
    const id = await runningDomain(call)
    const pause = kindOf(call('domains.pause', { id }))

    await call('domains.forceOff', { id })

    expect(await pause).toBe('engine')
    expect(await stateOf(call, id)).toBe('off')
  })
})

describe('a guest process that dies', () => {
  test('while starting leaves the domain as it was, with the reason in the task', async () => {
    const { call } = await openScripted({ start: (guest) => guest.end() })
    const id = await scriptedDomain(call)

    const failure: unknown = await finish(call, call('domains.start', { id })).catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: 'engine', message: expect.stringContaining('SIGSEGV') })
    expect(await stateOf(call, id)).toBe('off')
  })

  test('while running is crashed, and can be started again', async () => {
    const { call, guests } = await openScripted()
    const id = await runningDomain(call)

    guests[0]?.end('it exited with status 7')

    const crashed = await until(call, id, (domain) => domain.state === 'crashed', 5000)
    expect(crashed).toMatchObject({
      stateReason: 'The guest process ended unexpectedly: it exited with status 7.',
      startedAt: null,
    })
    expect(await kindOf(finish(call, call('domains.start', { id })))).toBe('done')
  })

  test('right after its state was saved has lost nothing', async () => {
    const vivarium = await openScripted()
    const { call, folder } = vivarium
    const id = await runningDomain(call)
    const { script } = vivarium
    script.save = async (guest, file) => {
      const { writeState } = await import('../../vmm/engine/embedded-state')
      const bytes = await writeState(file, new ArrayBuffer(10), true)
      setTimeout(() => guest.end(), 0)
      return { bytes }
    }

    await finish(call, call('domains.save', { id })).catch(() => undefined)
    delete script.save

    const state = await stateOf(call, id)
    expect(existsSync(join(folder, 'domains', id, 'machine.state'))).toBe(state === 'saved')
    expect(state).toBe('saved')
  })

  test('with a resume on its way does not leave a running domain without a machine', async () => {
    const { call, guests } = await openScripted({ resume: (guest) => guest.end() })
    const id = await runningDomain(call)
    await call('domains.pause', { id })

    guests[0]?.end()
    await Promise.all(Array.from({ length: 20 }, () => kindOf(call('domains.resume', { id }))))

    expect((await until(call, id, (domain) => domain.startedAt === null, 5000)).state).toBe('crashed')
  })
})

describe('a guest that is stalled by a full disk', () => {
  test('is paused with the reason, and goes on when it is resumed', async () => {
    const { call, guests } = await openScripted()
    const id = await runningDomain(call)

    guests[0]?.emit({ type: 'stalled', reason: 'ENOSPC' })

    const stalled = await until(call, id, (domain) => domain.state === 'paused', 5000)
    expect(stalled.stateReason).toContain('ENOSPC')
    expect(await call('domains.resume', { id })).toMatchObject({ state: 'running', stateReason: '' })
  })

  test('while it shuts down can be resumed when the shutdown is given up', async () => {
    const { call, guests } = await openScripted({
      agent: ({ execute }) => (execute === 'guest-shutdown' ? SILENCE : undefined),
    })
    const id = await runningDomain(call)
    const task = await call('domains.shutdown', { id })
    await until(call, id, (domain) => domain.state === 'stopping')
    guests[0]?.emit({ type: 'stalled', reason: 'ENOSPC' })
    await until(call, id, (domain) => domain.state === 'paused', 5000)

    await call('tasks.cancel', { id: task.id })
    await call('tasks.wait', { id: task.id, waitMs: 10_000 })

    expect(await call('domains.get', { id })).toMatchObject({
      state: 'paused',
      stateReason: expect.stringContaining('ENOSPC'),
    })
    expect((await call('domains.resume', { id })).state).toBe('running')
  })
})
