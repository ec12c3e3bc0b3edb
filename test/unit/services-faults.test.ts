import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Storage } from '../../storage'
import { kindOf } from '../support/outcome'
import { fillDisk, NO_SMALL_DISK, smallDisk } from '../support/small-disk'
import {
  addScriptedImage,
  openScripted,
  runningDomain,
  scriptedDomain,
  scriptedFolder,
} from '../support/scripted-vivarium'
import { finish, newClient, until } from '../support/vivarium'

/** Vivarium on a small disk, which `fill` fills to the last byte; what it then complains about is not printed. */
async function onSmallDisk() {
  const complaints = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  onTestFinished(() => complaints.mockRestore())
  const folder = smallDisk(3000)
  await addScriptedImage(folder)
  const vivarium = await openScripted({}, folder)
  const fill = async () => {
    const file = fillDisk(folder, 0)
    const client = newClient(vivarium.services)
    // what SQLite has set aside is used up as well
    for (let left = true; left;) {
      left =
        (await kindOf(client('settings.update', { consoleFontSize: 8 + Math.floor(Math.random() * 20) }))) === 'done'
    }
    return () => rmSync(file)
  }
  return { ...vivarium, fill }
}

describe.skipIf(NO_SMALL_DISK !== '')(`on a full disk ${NO_SMALL_DISK}`, () => {
  test('a guest that stalls is shown as paused, as often as it does, and goes on when there is room', async () => {
    const vivarium = await onSmallDisk()
    const { call, guests, script } = vivarium
    const id = await runningDomain(call)
    const makeRoom = await vivarium.fill()
    script.resume = (guest) => guest.emit({ type: 'stalled', reason: 'ENOSPC: no space left on device' })

    guests[0]?.emit({ type: 'stalled', reason: 'ENOSPC: no space left on device' })
    const stalled = await until(call, id, (domain) => domain.state === 'paused', 5000)
    await kindOf(call('domains.resume', { id }))
    const again = await until(call, id, (domain) => domain.state === 'paused', 5000)
    delete script.resume
    makeRoom()

    expect(stalled.stateReason).toContain('Make room, then resume.')
    expect(again.stateReason).toContain('Make room, then resume.')
    expect((await call('domains.resume', { id })).state).toBe('running')
  })

  test('a guest that crashes is shown as crashed, and a domain can be forced off', async () => {
    const { call, guests, fill } = await onSmallDisk()
    const [one, two] = [await runningDomain(call, 'One'), await runningDomain(call, 'Two')]
    await fill()

    guests[0]?.end()
    const crashed = await until(call, one, (domain) => domain.state === 'crashed', 5000)
    await kindOf(call('domains.forceOff', { id: two }))

    expect(crashed.stateReason).toContain('SIGSEGV')
    expect((await call('domains.get', { id: two })).state).toBe('off')
    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })

  test('what cannot be stored is refused with kind disk-full and changes nothing', async () => {
    const { call, fill, folder } = await onSmallDisk()
    const id = await runningDomain(call)
    const resting = await scriptedDomain(call, 'Resting')
    await fill()

    const outcomes = await Promise.all([
      kindOf(call('domains.update', { id: resting, patch: { notes: 'x' } })),
      kindOf(scriptedDomain(call, 'New')),
      kindOf(call('domains.save', { id })),
      kindOf(call('snapshots.create', { id: resting })),
      kindOf(call('domains.start', { id: resting })),
      kindOf(call('domains.delete', { id: resting })),
    ])

    const domains = await call('domains.list', {})
    expect(outcomes.filter((outcome) => !['disk-full', 'conflict', 'not-found'].includes(outcome))).toEqual([])
    expect(domains.map(({ name, state, notes, taskId }) => ({ name, state, notes, taskId }))).toEqual([
      { name: 'One', state: 'running', notes: '', taskId: null },
      { name: 'Resting', state: 'off', notes: '', taskId: null },
    ])
    expect(readdirSync(join(folder, 'domains')).sort()).toEqual([id, resting].sort())
  })

  test('Vivarium closes, and its guests with it', async () => {
    const { call, guests, fill, close } = await onSmallDisk()
    await runningDomain(call)
    await fill()

    await close()

    expect(guests.filter((guest) => guest.alive)).toEqual([])
  })
})

describe('closing', () => {
  test('leaves no guest, no timer, no open file and no database behind', async () => {
    const vivarium = await openScripted()
    const { call, guests, close } = vivarium
    const [running, paused, starting] = [
      await runningDomain(call, 'Running'),
      await runningDomain(call, 'Paused'),
      await scriptedDomain(call, 'Starting'),
    ]
    await call('domains.pause', { id: paused })
    vivarium.script.start = () => new Promise(() => undefined)
    await call('domains.start', { id: starting })
    await call('exec.start', { id: running, argv: ['true'] })
    await call('images.uploadBegin', { name: 'x', bytes: 10 })
    const waits = [
      call('tasks.wait', { id: 'none', waitMs: 20_000 }),
      call('console.read', { id: running, offset: 8, waitMs: 20_000 }),
    ]

    const started = performance.now()
    await Promise.all([close(), ...waits.map((wait) => kindOf(wait))])
    await delay(50)

    expect(performance.now() - started).toBeLessThan(5000)
    expect(guests.filter((guest) => guest.alive)).toEqual([])
    const storage = await Storage.open(vivarium.folder)
    const states = (await storage.domains.list()).map((stored) => (stored.ok ? stored.record.state : 'damaged'))
    await storage.close()
    expect(states).toEqual(['off', 'off', 'off'])
    expect(readdirSync(join(vivarium.folder, 'uploads'))).toEqual([])
  })

  test('refuses what comes later, in one sentence', async () => {
    const { call, close } = await openScripted()

    await close()

    await expect(call('domains.list', {})).rejects.toMatchObject({ kind: 'cancelled', message: 'Vivarium is closing.' })
  })

  test('and opening, many times, leaks neither files nor handles', async () => {
    const folder = await scriptedFolder()
    const files = () => readdirSync('/proc/self/fd').length
    const cycle = async () => {
      const { call, close } = await openScripted({}, folder)
      const { id } = await call('domains.create', {
        spec: { name: 'Cycle', engine: 'embedded', imageId: 'scripted' },
        ephemeral: true,
      })
      await finish(call, call('domains.start', { id }))
      await call('images.uploadBegin', { name: 'x', bytes: 10 })
      await close()
    }
    await cycle()
    const before = { files: files(), handles: process.getActiveResourcesInfo().length }

    for (let round = 0; round < 8; round++) await cycle()
    await delay(200)

    expect(files()).toBeLessThanOrEqual(before.files + 1)
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before.handles + 3)
  })

  test('a client that comes and goes leaves no listener', async () => {
    const { services, call, events } = await openScripted()
    for (let visit = 0; visit < 50; visit++) services.attach(() => expect.unreachable()).close()

    await scriptedDomain(call)
    await expect.poll(() => events.length).toBeGreaterThan(0)

    expect(services.busy().clients).toBe(1)
  })
})

describe('what lies about in the data folder', () => {
  test('and belongs to nothing is swept at the start; what is somebody’s stays', async () => {
    const folder = await scriptedFolder()
    const before = await openScripted({}, folder)
    const id = await scriptedDomain(before.call)
    const { resultId: snapshot } = await finish(before.call, before.call('snapshots.create', { id }))
    await before.close()
    const leftovers = [
      'domains/nobody',
      'images/nobody',
      'uploads/half',
      `domains/${id}/snapshots/none-partial`,
      `domains/${id}/machine.state.partial`,
    ]
    for (const name of leftovers) writeFileSync(join(folder, name), 'x')

    const { call } = await openScripted({}, folder)

    const left = readdirSync(folder, { recursive: true }).map(String)
    expect(leftovers.filter((name) => left.includes(name))).toEqual([])
    expect(await call('snapshots.list', { id })).toMatchObject([{ id: snapshot, damage: '' }])
    expect((await call('images.list', {})).map((image) => image.damage)).toEqual([''])
  })
})
