import { readdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { childrenOf, isAlive, startMain, type MainProcess } from '../support/main-process'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, shell, startDomain, until } from '../support/vivarium'

const folder = temporaryFolderForFile()
let main: MainProcess
let id = ''

beforeAll(async () => {
  await seedStarter(folder)
  main = await startMain(folder)
  id = await startDomain(main.call, 'Victim')
})

afterAll(() => main.end())

/** Kills main, checks that its guests go with it, and starts another on the same folder. */
async function crashAndRestart(): Promise<void> {
  const guests = await childrenOf(main.child.pid ?? 0)
  await main.kill()
  await expect.poll(() => guests.filter(isAlive), { timeout: 10_000 }).toEqual([])
  main = await startMain(folder)
}

function partialFiles(): string[] {
  return readdirSync(path.join(folder, 'domains'), { recursive: true })
    .map(String)
    .filter((name) => name.includes('partial'))
}

test('a guest process that is killed leaves a crashed domain, and the others do not notice', async () => {
  const other = await startDomain(main.call, 'Bystander')
  const guests = await childrenOf(main.child.pid ?? 0)
  expect(guests).toHaveLength(2)
  process.kill(guests[0] ?? 0, 'SIGKILL')
  const crashed = await until(main.call, id, (domain) => domain.state === 'crashed')
  expect(crashed.stateReason).toContain('SIGKILL')
  expect(await shell(main.call, other, 'echo fine')).toBe('fine')
  const { bytes } = await main.call('console.read', { id, offset: 0 })
  expect(bytes.byteLength, 'the last words are kept').toBeGreaterThan(0)
  await main.call('domains.forceOff', { id: other })
  await finish(main.call, main.call('domains.start', { id }))
})

test('kill -9 of main while a domain runs: it is told as crashed, nothing else is lost', async () => {
  await shell(main.call, id, 'echo one > /root/note')
  await finish(main.call, main.call('snapshots.create', { id, name: 'Kept' }))
  await main.call('domains.update', { id, patch: { notes: 'acknowledged' } })
  await crashAndRestart()
  const domain = await main.call('domains.get', { id })
  expect(domain).toMatchObject({ state: 'crashed', notes: 'acknowledged' })
  expect(domain.stateReason).toContain('while this domain was running')
  const [snapshot] = await main.call('snapshots.list', { id })
  expect(snapshot).toMatchObject({ name: 'Kept', damage: '' })
  await finish(main.call, main.call('snapshots.revert', { id, snapshotId: snapshot?.id ?? '' }))
  await finish(main.call, main.call('domains.start', { id }))
  expect(await shell(main.call, id, 'cat /root/note')).toBe('one')
})

test('kill -9 of main at any moment of a save: a whole saved state, or none', async () => {
  for (const ms of [5, 60, 150, 300, 600]) {
    const mark = `mark-${ms}`
    await shell(main.call, id, `echo ${mark} > /root/note`)
    const save = main.call('domains.save', { id }).then((task) => finish(main.call, task))
    const acknowledged = await Promise.race([
      save.then(
        () => true,
        () => false,
      ),
      delay(ms, false),
    ])
    await crashAndRestart()
    save.catch(() => undefined)
    const { state } = await main.call('domains.get', { id })
    if (acknowledged) expect(state).toBe('saved')
    expect(['saved', 'crashed']).toContain(state)
    expect(partialFiles()).toEqual([])
    await finish(main.call, main.call('domains.start', { id }))
    if (state === 'saved') expect(await shell(main.call, id, 'cat /root/note')).toBe(mark)
    await until(main.call, id, (domain) => domain.agent === 'ready')
  }
})

test('kill -9 of main at any moment of a snapshot: a whole one, or none', async () => {
  for (const ms of [5, 100, 250, 500]) {
    const before = (await main.call('snapshots.list', { id })).length
    const create = main.call('snapshots.create', { id, name: `At ${ms}` }).then((task) => finish(main.call, task))
    const acknowledged = await Promise.race([
      create.then(
        () => true,
        () => false,
      ),
      delay(ms, false),
    ])
    await crashAndRestart()
    create.catch(() => undefined)
    const snapshots = await main.call('snapshots.list', { id })
    expect(snapshots.length - before).toBeLessThanOrEqual(1)
    if (acknowledged) expect(snapshots.length).toBe(before + 1)
    expect(snapshots.every(({ damage }) => damage === '')).toBe(true)
    expect(readdirSync(path.join(folder, 'domains', id, 'snapshots')).sort()).toEqual(
      snapshots.map((one) => one.id).sort(),
    )
    await finish(main.call, main.call('domains.start', { id }))
    await until(main.call, id, (domain) => domain.agent === 'ready')
  }
})

test('kill -9 of main with an ephemeral domain: nothing of it is left', async () => {
  const ids = async () => (await main.call('domains.list', {})).map((domain) => domain.id).sort()
  const before = await ids()
  const { imageId } = await main.call('domains.get', { id })
  const { id: passing } = await main.call('domains.create', {
    spec: { name: 'Passing', engine: 'embedded', imageId },
    ephemeral: true,
  })
  await finish(main.call, main.call('domains.start', { id: passing }))
  await crashAndRestart()
  expect(await ids()).toEqual(before)
  expect(readdirSync(path.join(folder, 'domains')).sort()).toEqual(before)
})
