import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { machineUuid } from '../../vmm/engine/qemu-process'
import { isAlive, startMain, type MainProcess } from '../support/main-process'
import { endMachines, machinesIn, NO_QEMU, qemuPid } from '../support/qemu-machines'
import { rawSql } from '../support/raw-database'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, shell, startDomain, until, type Call } from '../support/vivarium'

const folder = temporaryFolderForFile()
const COUNTER = 'while :; do echo $((n=n+1)) > /root/count; sleep 0.05; done </dev/null >/dev/null 2>&1 &'

describe.skipIf(NO_QEMU !== '')(`QEMU machines outlive main ${NO_QEMU}`, () => {
  let main: MainProcess
  let ids: string[] = []

  beforeAll(async () => {
    await seedStarter(folder)
    main = await startMain(folder)
    for (const name of ['One', 'Two', 'Three', 'Four']) {
      ids.push(await startDomain(main.call, name, { engine: 'qemu', memoryMiB: 80 }))
    }
    for (const id of ids) await shell(main.call, id, COUNTER)
  })

  afterAll(async () => {
    await main.kill()
    await endMachines(folder)
  })

  const pids = () => ids.map((id) => qemuPid(folder, id))
  const count = async (id: string) => Number(await shell(main.call, id, 'cat /root/count'))

  test('kill -9 of main: all of them run on, are found again, and paused stays paused', async () => {
    const before = pids()
    const [running = '', paused = ''] = ids
    await main.call('console.write', { id: running, bytes: Buffer.from('echo said-$((40 + 2))-before\r') })
    await expect.poll(() => said(main.call, running)).toContain('\nsaid-42-before')
    await main.call('domains.pause', { id: paused })
    const counted = await count(running)
    await main.kill()
    expect(await machinesIn(folder)).toHaveLength(4)
    await delay(300)
    main = await startMain(folder)

    expect(pids()).toEqual(before)
    const domains = await main.call('domains.list', {})
    expect(domains.map(({ state, runningOn }) => [state, runningOn])).toEqual(
      ids.map((id) => [id === paused ? 'paused' : 'running', 'tcg']),
    )
    for (const id of ids.filter((each) => each !== paused)) await until(main.call, id, ({ agent }) => agent === 'ready')
    expect(await count(running)).toBeGreaterThan(counted)
    expect(await said(main.call, running)).toContain('\nsaid-42-before')
    await main.call('console.write', { id: running, bytes: Buffer.from('echo said-$((40 + 3))-after\r') })
    await expect.poll(() => said(main.call, running)).toContain('\nsaid-43-after')
    await main.call('domains.resume', { id: paused })
    await until(main.call, paused, ({ agent }) => agent === 'ready')
    expect(await count(paused)).toBeGreaterThan(0)
  })

  test('a normal end of main leaves them running, too', async () => {
    const before = pids()
    await main.end()
    expect((await machinesIn(folder)).sort()).toEqual([...before].sort())
    main = await startMain(folder)

    const [first = ''] = ids
    await until(main.call, first, ({ agent }) => agent === 'ready')
    expect(await shell(main.call, first, 'echo fine')).toBe('fine')
    expect(pids()).toEqual(before)
  })

  test('what died meanwhile is crashed, with what QEMU said last; what was reused is let alone', async () => {
    const [died = '', stale = ''] = ids
    const bystander = spawn('sleep', ['60'], { argv0: `search ${machineUuid(stale)}` })
    const deadPids = [qemuPid(folder, died), qemuPid(folder, stale)]
    await main.kill()
    for (const pid of deadPids) process.kill(pid, 'SIGKILL')
    writeFileSync(path.join(folder, 'run', died, 'qemu.log'), 'qemu-system-x86_64: the last words\n')
    writeFileSync(path.join(folder, 'run', stale, 'pid'), `${bystander.pid}\n`)
    main = await startMain(folder)

    const crashed = await main.call('domains.get', { id: died })
    expect(crashed).toMatchObject({ state: 'crashed', startedAt: null })
    expect(crashed.stateReason).toContain('the last words')
    expect((await main.call('domains.get', { id: stale })).state).toBe('crashed')
    await main.call('domains.delete', { id: stale })
    expect(isAlive(bystander.pid ?? 0)).toBe(true)
    bystander.kill('SIGKILL')
    await finish(main.call, main.call('domains.start', { id: died }))
    await until(main.call, died, ({ agent }) => agent === 'ready')
    ids = ids.filter((id) => id !== stale)
  })

  test('ephemeral domains and unknown ones leave no machine behind', async () => {
    const { imageId } = await main.call('domains.get', { id: ids[0] ?? '' })
    const spec = { name: 'Passing', engine: 'qemu' as const, imageId, memoryMiB: 80 }
    const { id: passing } = await main.call('domains.create', { spec, ephemeral: true })
    await finish(main.call, main.call('domains.start', { id: passing }))
    const passingPid = qemuPid(folder, passing)
    const [kept = '', orphan = ''] = ids
    const orphanPid = qemuPid(folder, orphan)
    await main.kill()
    await rawSql(path.join(folder, 'vivarium.db'), `DELETE FROM domains WHERE id = '${orphan}'`)
    main = await startMain(folder)

    const left = await machinesIn(folder)
    expect(left).not.toContain(passingPid)
    expect(left).not.toContain(orphanPid)
    expect((await main.call('domains.list', {})).map(({ id }) => id)).not.toContain(passing)
    ids = ids.filter((id) => id !== orphan)
    expect(left.sort()).toEqual(pids().sort())
    expect(left).toContain(qemuPid(folder, kept))
  })

  test('a QEMU that hangs does not keep the others, and can be forced off', async () => {
    const [hung = '', fine = ''] = ids
    process.kill(qemuPid(folder, hung), 'SIGSTOP')

    await main.call('domains.forceOff', { id: hung })
    expect(await main.call('domains.get', { id: hung })).toMatchObject({ state: 'off' })
    await finish(main.call, main.call('domains.start', { id: hung }))
    await until(main.call, hung, ({ agent }) => agent === 'ready')

    const hungPid = qemuPid(folder, hung)
    process.kill(hungPid, 'SIGSTOP')
    await main.kill()
    main = await startMain(folder)
    const crashed = await main.call('domains.get', { id: hung })
    expect(crashed.state).toBe('crashed')
    expect(crashed.stateReason).toContain('could not be taken over')
    expect(await machinesIn(folder)).not.toContain(hungPid)
    await until(main.call, fine, ({ agent }) => agent === 'ready')
    expect(await shell(main.call, fine, 'echo fine')).toBe('fine')
  })
})

/** All that the console keeps. */
async function said(call: Call, id: string): Promise<string> {
  const { bytes } = await call('console.read', { id, offset: 0 })
  return Buffer.from(bytes).toString('latin1')
}
