import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineId, ShareMode, ShareView } from '../../src-main/contract'
import { fileProcess } from '../support/file-process'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { deleteForGood, finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

const MIB = 1024 * 1024
/** What is in a share until the guest changes it. */
const HOST_TEXT = 'from the host\n'

describe.each<[EngineId, string]>([
  ['embedded', ''],
  ['qemu', NO_QEMU],
])('shares of a guest on %s', (engine, missing) => {
  const folder = temporaryFolderForFile()
  const hostFolder = path.join(folder, 'shared')
  let vivarium: TestVivarium
  let id: string

  beforeAll(async () => {
    if (missing) return
    mkdirSync(path.join(hostFolder, 'sub'), { recursive: true })
    writeFileSync(path.join(hostFolder, 'hello.txt'), HOST_TEXT)
    writeFileSync(path.join(hostFolder, 'sub', 'deep.txt'), HOST_TEXT)
    const data = path.join(folder, 'data')
    await seedStarter(data)
    vivarium = await openVivarium(data)
    id = await startDomain(vivarium.call, 'One', { engine })
  })
  afterAll(async () => {
    if (!missing) await vivarium.close()
    await endMachines(path.join(folder, 'data'))
  })

  const run = (line: string) => shell(vivarium.call, id, line)
  const share = async (name: string): Promise<ShareView> => {
    const found = (await vivarium.call('files.get', { id })).shares.find((each) => each.name === name)
    if (!found) throw new Error(`no share ${name}`)
    return found
  }
  const add = async (name: string, mode: ShareMode): Promise<ShareView> => {
    await vivarium.call('files.addShare', { id, folder: hostFolder, name, mode })
    return await share(name)
  }
  const restart = async () => {
    await finish(vivarium.call, vivarium.call('domains.restart', { id }))
    await until(vivarium.call, id, ({ agent }) => agent === 'ready')
  }
  const mounted = (name: string) =>
    expect.poll(() => share(name).then(({ mountedAt }) => mountedAt), POLL).toBe(`/mnt/${name}`)

  test.skipIf(missing)('are mounted by the agent, as soon as the machine has a way to them', async () => {
    await add('cow', 'copy-on-write')
    if (engine === 'qemu') {
      expect(await share('cow')).toMatchObject({
        state: 'failed',
        reason: expect.stringContaining('no card') as string,
      })
      await restart()
    }
    await mounted('cow')
    await add('ro', 'read-only')
    await add('rw', 'direct')
    await mounted('rw')

    expect(await run('cat /mnt/cow/hello.txt')).toBe(HOST_TEXT.trim())
    expect(await run('cat /mnt/ro/sub/deep.txt')).toBe(HOST_TEXT.trim())
  })

  test.skipIf(missing)('are written as their mode says', async () => {
    await expect(run('echo x > /mnt/ro/hello.txt')).rejects.toThrow(/Read-only file system/)
    await run('echo direct > /mnt/rw/direct.txt && sync')
    expect(readFileSync(path.join(hostFolder, 'direct.txt'), 'utf8')).toBe('direct\n')
    await run(
      'echo guest > /mnt/cow/hello.txt; rm /mnt/cow/sub/deep.txt; mkdir /mnt/cow/new; echo n > /mnt/cow/new/n; sync',
    )

    expect(readFileSync(path.join(hostFolder, 'hello.txt'), 'utf8')).toBe(HOST_TEXT)
    expect(existsSync(path.join(hostFolder, 'sub', 'deep.txt'))).toBe(true)
    expect(existsSync(path.join(hostFolder, 'new'))).toBe(false)
  })

  test.skipIf(missing)('tell what the guest changed; a change is brought to the host, another discarded', async () => {
    const { call } = vivarium
    const shareId = (await share('cow')).id
    const { changes } = await call('files.changes', { id, shareId })
    expect(changes.map(({ path: at, kind }) => [at, kind])).toEqual([
      ['/hello.txt', 'changed'],
      ['/new', 'added'],
      ['/new/n', 'added'],
      ['/sub/deep.txt', 'deleted'],
    ])
    const key = changes[0]?.key ?? ''
    expect(await call('files.sides', { id, shareId, key })).toMatchObject({ before: HOST_TEXT, after: 'guest\n' })

    await finish(call, call('files.apply', { id, shareId, keys: [key] }))
    await finish(call, call('files.discard', { id, shareId, keys: [changes[3]?.key ?? ''] }))

    expect(readFileSync(path.join(hostFolder, 'hello.txt'), 'utf8')).toBe('guest\n')
    expect(await run('cat /mnt/cow/sub/deep.txt')).toBe(HOST_TEXT.trim())
    expect((await call('files.changes', { id, shareId })).changes.map((each) => each.path)).toEqual(['/new', '/new/n'])
  })

  test.skipIf(missing)('carry 32 MiB without a wrong byte, and nothing of it is on the host in plain', async () => {
    const sum = await run(
      'dd if=/dev/urandom of=/mnt/cow/noise bs=1M count=32 2>/dev/null && [ $(wc -c < /mnt/cow/noise) = 33554432 ] && sha256sum < /mnt/cow/noise',
    )
    await run('echo 3 > /proc/sys/vm/drop_caches; sync; echo PLAINWORDS > /mnt/cow/words; sync /mnt/cow/words')

    expect(await run('sha256sum < /mnt/cow/noise')).toBe(sum)
    const kept = path.join(folder, 'data', 'domains', id, 'shares', (await share('cow')).id)
    const files = readdirSync(kept, { recursive: true, encoding: 'utf8' })
      .map((name) => path.join(kept, name))
      .filter((file) => statSync(file).isFile())
    expect(files.reduce((total, file) => total + statSync(file).size, 0)).toBeGreaterThan(32 * MIB)
    for (const file of files) expect(readFileSync(file).includes('PLAINWORDS')).toBe(false)
    expect((await share('cow')).keptBytes).toBeGreaterThan(32 * MIB)
    expect(await share('cow')).toMatchObject({ sealed: true, state: 'served' })
  })

  test.skipIf(missing)('go with snapshots: a revert brings their files back, running', async () => {
    const { call } = vivarium
    await run('echo before > /mnt/cow/state; sync')
    const task = await finish(call, call('snapshots.create', { id, name: 'Before' }))
    await run('echo after > /mnt/cow/state; rm /mnt/cow/new/n; sync')

    await finish(call, call('snapshots.revert', { id, snapshotId: task.resultId }))
    await until(call, id, ({ agent, state }) => agent === 'ready' && state === 'running')
    await mounted('cow')

    expect(await run('cat /mnt/cow/state /mnt/cow/new/n')).toBe('before\nn')
  })

  test.skipIf(missing)('outlive the end of the file process: a mount works again', async () => {
    await run('echo kept > /mnt/cow/kept; sync /mnt/cow/kept')
    const pid = fileProcess()
    process.kill(pid, 'SIGKILL')

    await expect.poll(() => run('cat /mnt/cow/kept').catch((error: unknown) => String(error)), POLL).toBe('kept')
    expect(fileProcess()).not.toBe(pid)
  })

  test.skipIf(missing)("are a clone's too, apart from then on", async () => {
    const { call } = vivarium
    await finish(call, call('domains.save', { id }))
    const { resultId } = await finish(call, call('domains.clone', { id, name: 'Two' }))
    await finish(call, call('domains.start', { id: resultId }))
    await until(call, resultId, ({ agent }) => agent === 'ready')
    const ofClone = (line: string) => shell(call, resultId, line)
    await expect.poll(() => ofClone('cat /mnt/cow/kept').catch(String), POLL).toBe('kept')

    await ofClone('echo clone > /mnt/cow/kept; sync')
    await finish(call, call('domains.start', { id }))
    await until(call, id, ({ agent }) => agent === 'ready')

    await expect.poll(() => run('cat /mnt/cow/kept').catch(String), POLL).toBe('kept')
    await call('domains.forceOff', { id: resultId })
    await deleteForGood(call, resultId)
  })
})

const POLL = { timeout: 60_000, interval: 250 }
