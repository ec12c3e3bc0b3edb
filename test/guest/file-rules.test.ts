import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EngineId } from '../../src-main/contract'
import type { FileRule } from '../../vmm/model/policy-files'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { rule } from '../support/ruled-trees'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { finish, openVivarium, shell, startDomain, until, type TestVivarium } from '../support/vivarium'

const POLL = { timeout: 60_000, interval: 250 }

describe.each<[EngineId, string]>([
  ['embedded', ''],
  ['qemu', NO_QEMU],
])('rules for the files of a guest on %s', (engine, missing) => {
  const folder = temporaryFolderForFile()
  const hostFolder = path.join(folder, 'shared')
  const onHost = (name: string) => path.join(hostFolder, name)
  let vivarium: TestVivarium
  let id: string

  beforeAll(async () => {
    if (missing) return
    for (const name of ['secret', 'closed', 'docs', 'small', 'conf', 'else']) {
      mkdirSync(onHost(name), { recursive: true })
      writeFileSync(path.join(onHost(name), 'a'), `of ${name}\n`)
    }
    const data = path.join(folder, 'data')
    await seedStarter(data)
    vivarium = await openVivarium(data)
    const { call } = vivarium
    id = await startDomain(call, 'One', { engine })
    await call('files.addShare', { id, folder: hostFolder, name: 'work', mode: 'direct' })
    if (engine === 'qemu') {
      await finish(call, call('domains.restart', { id }))
      await until(call, id, ({ agent }) => agent === 'ready')
    }
  })
  afterAll(async () => {
    if (!missing) await vivarium.close()
    await endMachines(path.join(folder, 'data'))
  })

  const run = (line: string) => shell(vivarium.call, id, `cd /mnt/work; ${line}`)
  const setRules = async (rules: FileRule[]) => {
    const { policy } = await vivarium.call('policy.get', { id })
    await vivarium.call('policy.set', { id, policy: { ...policy, files: { rules } } })
  }
  const denials = async () => (await vivarium.call('files.denials', { id })).map((each) => `${each.path} ${each.rule}`)

  test.skipIf(missing)('hold at once, and again not, for what the guest has seen before', async () => {
    const { call } = vivarium
    const mounted = () => call('files.get', { id }).then(({ shares }) => shares[0]?.mountedAt)
    await expect.poll(mounted, POLL).toBe('/mnt/work')
    expect(await run('cat secret/a closed/a')).toBe('of secret\nof closed')
    await setRules([
      rule('no secrets', 'hide', ['/secret']),
      rule('closed', 'deny', ['/closed']),
      rule('papers', 'read-only', ['/docs']),
      rule('little', 'quota', ['/small'], { bytes: 65_536 }),
      rule('elsewhere', 'redirect', ['/conf'], { to: 'work:/else' }),
    ])

    await expect(run('cat secret/a')).rejects.toThrow(/No such file/)
    expect((await run('ls')).split('\n')).toEqual(['closed', 'conf', 'docs', 'else', 'small'])
    await expect(run('mkdir secret')).rejects.toThrow(/Permission denied/)
    await expect(run('cat closed/a')).rejects.toThrow(/Permission denied/)
    expect(await run('cat docs/a')).toBe('of docs')
    await expect(run('echo x > docs/a')).rejects.toThrow(/Read-only file system/)
    await expect(run('dd if=/dev/zero of=small/b bs=4k count=32 && sync')).rejects.toThrow(/quota exceeded/i)
    expect(await run('cat conf/a')).toBe('of else')
    expect(readFileSync(path.join(onHost('docs'), 'a'), 'utf8')).toBe('of docs\n')
  })

  test.skipIf(missing)('tell what they refused, and why', async () => {
    await expect.poll(denials, POLL).toEqual(expect.arrayContaining(['/secret no secrets', '/closed closed']))
    const { uses } = await vivarium.call('files.explain', { id, share: 'work', path: '/docs/a' })
    expect(uses.map(({ allowed, rule: by }) => [allowed, by])).toEqual([
      [true, 'papers'],
      [true, 'papers'],
      [false, 'papers'],
    ])
  })

  test.skipIf(missing)('let through what is allowed once', async () => {
    const { call } = vivarium
    const denial = (await call('files.denials', { id })).find((each) => each.rule === 'closed')
    await call('files.allowOnce', { id, seq: denial?.seq ?? 0 })

    expect(await run('cat closed/a')).toBe('of closed')
    await call('files.forgetOnce', { id })
    await expect(run('cat closed/a')).rejects.toThrow(/Permission denied/)
    await setRules([])
    expect(await run('cat closed/a secret/a')).toBe('of closed\nof secret')
  })
})
