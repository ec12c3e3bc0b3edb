import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NO_DEBIAN_ROOT } from '../support/debian-root'
import { endMachines, NO_QEMU } from '../support/qemu-machines'
import { importFiles } from '../support/real-inputs'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { exec, finish, openVivarium, until, type TestVivarium } from '../support/vivarium'
import { WINE_CMDLINE, wineGuest, wineWords } from '../support/wine-guest'

const WHY = NO_DEBIAN_ROOT || NO_QEMU
const PREFIX = { share: 'wine', path: '/' }
const MOUNT = '/mnt/wine'
const KEY = 'HKCU\\Software\\Vivarium'
const REG_SZ = 1
const text = (content: string) => Buffer.from(`${content}\0`, 'utf16le')

describe.skipIf(WHY !== '')(`the registry of a domain as that of Wine in its guest ${WHY}`, () => {
  const folder = temporaryFolderForFile()
  const data = path.join(folder, 'data')
  let vivarium: TestVivarium
  let id: string

  beforeAll(async () => {
    const debian = await wineGuest()
    vivarium = await openVivarium(data)
    const { call } = vivarium
    const imageId = await importFiles(call, [debian.kernel, debian.initrd], WINE_CMDLINE)
    const diskId = await importFiles(call, [debian.disk])
    const spec = { name: 'Wine', engine: 'qemu' as const, imageId, memoryMiB: 1024, cpus: 2 }
    id = (await call('domains.create', { spec })).id
    await call('disks.add', { id, kind: 'disk', imageId: diskId })
    // the prefix on the host is never written
    await call('files.addShare', { id, folder: debian.apart, name: PREFIX.share, mode: 'copy-on-write' })
    await finish(call, call('registry.import', { id, source: { path: debian.apart }, as: 'hive' }))
    await call('registry.update', { id, registry: { prefixes: [PREFIX] } })
    await call('registry.createKey', { id, key: KEY })
    await set('Kept', 'by the host')
    await set('Doomed', 'by the host')
    await finish(call, call('domains.start', { id }))
    await until(call, id, ({ agent }) => agent === 'ready')
  }, 600_000)
  afterAll(async () => {
    await vivarium.close()
    await endMachines(data)
  })

  const set = (name: string, content: string) =>
    vivarium.call('registry.setValue', { id, key: KEY, name, type: REG_SZ, data: text(content) })
  async function wine(...words: string[]): Promise<string> {
    const { stdout, stderr, exitCode, signal } = await exec(vivarium.call, id, wineWords(MOUNT, words))
    if (exitCode !== 0) throw new Error(`'${words.join(' ')}' ended with ${exitCode ?? `signal ${signal}`}: ${stderr}`)
    return stdout
  }
  /** All differences from the prefix as it came, in words. */
  async function differences(): Promise<string[]> {
    const { entries } = await vivarium.call('registry.diff', { id })
    return entries.map(({ kind, key, value, after }) =>
      [kind, key.split('\\').slice(2).join('\\'), value ?? '(key)', after?.text ?? ''].join(' ').trim(),
    )
  }

  test('reg.exe finds what the host set', async () => {
    const mountedAt = async () => (await vivarium.call('files.get', { id })).shares[0]?.mountedAt
    await expect.poll(mountedAt, { timeout: 60_000, interval: 250 }).toBe(MOUNT)
    const found = await wine('wine', 'reg', 'query', KEY)
    expect(found.replaceAll('\r', '')).toMatch(/ Doomed +REG_SZ +by the host\n +Kept +REG_SZ +by the host/)
  })

  test('what reg.exe adds, changes and deletes comes back as just that', async () => {
    const { call } = vivarium
    await wine('wineserver', '--wait')
    // with what Wine itself wrote on its first start
    await call('registry.takePrefix', { id, prefix: PREFIX })
    const before = await differences()

    await wine('wine', 'reg', 'add', `${KEY}\\Deep`, '/v', 'Count', '/t', 'REG_DWORD', '/d', '7')
    await wine('wine', 'reg', 'delete', KEY, '/v', 'Doomed', '/f')
    await wine('wineserver', '--wait')

    expect(await call('registry.takePrefix', { id, prefix: PREFIX })).toEqual({ changes: 3 })
    const after = await differences()
    const doomed = 'added Software\\Vivarium Doomed by the host'
    expect(before).toContain(doomed)
    expect(after.filter((each) => !before.includes(each))).toEqual([
      'added Software\\Vivarium\\Deep (key)',
      expect.stringMatching(/^added Software\\Vivarium\\Deep Count .*7/),
    ])
    expect(before.filter((each) => !after.includes(each))).toEqual([doomed])
  })

  test("regedit writes the branch as Vivarium's own export does", async () => {
    const { call } = vivarium
    const file = path.join(folder, 'ours.reg')
    await finish(call, call('registry.export', { id, what: 'branch', key: KEY, path: file }))
    await wine(
      'wine',
      'regedit',
      '/E',
      `Z:${MOUNT.replaceAll('/', '\\')}\\theirs.reg`,
      KEY.replace('HKCU', 'HKEY_CURRENT_USER'),
    )
    const theirs = await exec(call, id, ['base64', `${MOUNT}/theirs.reg`])

    expect(linesOf(Buffer.from(theirs.stdout, 'base64'))).toEqual(linesOf(readFileSync(file)))
  })

  test('is taken back when the machine has ended, without being asked for', async () => {
    const { call } = vivarium
    const before = await differences()
    await wine('wine', 'reg', 'add', KEY, '/v', 'Last', '/d', 'words')
    await wine('wineserver', '--wait')
    await finish(call, call('domains.shutdown', { id }))

    expect((await differences()).filter((each) => !before.includes(each))).toEqual([
      'added Software\\Vivarium Last words',
    ])
  })
})

/** Of a .reg file of version 5, which is UTF-16LE with a mark. */
function linesOf(file: Buffer): string[] {
  expect(file.subarray(0, 2)).toEqual(Buffer.from([0xff, 0xfe]))
  return file.subarray(2).toString('utf16le').split('\r\n').filter(Boolean)
}
