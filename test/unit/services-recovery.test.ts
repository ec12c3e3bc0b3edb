import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Storage } from '../../storage'
import { kindOf, stateOf } from '../support/outcome'
import { SILENCE } from '../support/scripted-guest'
import { openScripted, runningDomain, scriptedDomain, scriptedFolder } from '../support/scripted-vivarium'
import { finish, until } from '../support/vivarium'

describe('a guest that reboots', () => {
  test('is started again, in a process of its own', async () => {
    const { call, guests } = await openScripted()
    const id = await runningDomain(call)

    guests[0]?.emit({ type: 'reset' })

    await expect.poll(() => guests.length).toBe(2)
    await until(call, id, ({ agent, state }) => agent === 'ready' && state === 'running', 10_000)
    expect(guests.map((guest) => guest.alive)).toEqual([false, true])
  })

  test('over and over is given up on', async () => {
    const { call, guests, script } = await openScripted()
    const id = await scriptedDomain(call)
    script.start = (guest) => setTimeout(() => guest.emit({ type: 'reset' }), 10)

    await call('domains.start', { id })

    const crashed = await until(call, id, (domain) => domain.state === 'crashed', 10_000)
    expect(crashed.stateReason).toBe('The guest rebooted 5 times in a row as soon as it had started.')
    expect(guests.filter((guest) => guest.alive)).toEqual([])
    expect(guests.length).toBeLessThan(15)
  })

  test('while it is being shut down is off', async () => {
    const { call, guests } = await openScripted({
      agent: ({ execute }, guest) =>
        execute === 'guest-shutdown' ? (guest.emit({ type: 'reset' }), SILENCE) : undefined,
    })
    const id = await runningDomain(call)

    await finish(call, call('domains.shutdown', { id }))

    expect(await stateOf(call, id)).toBe('off')
    expect(guests).toHaveLength(1)
  })
})

describe('after an end that nobody announced', () => {
  /** A folder whose only domain is stored in `state`. */
  async function leftIn(state: 'starting' | 'running' | 'saving' | 'saved', diskMiB = 0) {
    const folder = await scriptedFolder()
    const before = await openScripted({}, folder)
    const id = await runningDomain(before.call, 'One', { diskMiB })
    await finish(before.call, before.call('domains.save', { id }))
    await before.close()
    const storage = await Storage.open(folder)
    const [stored] = await storage.domains.list()
    const record = stored?.ok ? stored.record : expect.unreachable()
    const stateVersion = ['starting', 'saved'].includes(state) ? record.stateVersion : ''
    await storage.domains.update({ ...record, state, stateVersion })
    await storage.close()
    return { folder, id }
  }

  test('a saved domain that was being started is still saved', async () => {
    const { folder, id } = await leftIn('starting')

    const { call } = await openScripted({}, folder)

    expect(await stateOf(call, id)).toBe('saved')
    expect(await kindOf(finish(call, call('domains.start', { id })))).toBe('done')
  })

  test('but not when its disk may have gone on without it', async () => {
    const { folder, id } = await leftIn('starting', 1)

    const { call } = await openScripted({}, folder)

    expect(await call('domains.get', { id })).toMatchObject({
      state: 'crashed',
      stateReason: expect.stringContaining('starting'),
    })
  })

  test.each(['running', 'saving'] as const)('a domain that was %s is crashed, with the reason', async (state) => {
    const { folder, id } = await leftIn(state)

    const { call } = await openScripted({}, folder)

    expect(await call('domains.get', { id })).toMatchObject({
      state: 'crashed',
      stateReason: expect.stringContaining(state),
    })
    expect(existsSync(join(folder, 'domains', id, 'machine.state'))).toBe(false)
  })

  test('a saved state that is gone is told', async () => {
    const { folder, id } = await leftIn('saved')
    rmSync(join(folder, 'domains', id, 'machine.state'))

    const { call } = await openScripted({}, folder)

    expect(await call('domains.get', { id })).toMatchObject({
      state: 'crashed',
      stateReason: expect.stringContaining('missing'),
    })
  })
})
