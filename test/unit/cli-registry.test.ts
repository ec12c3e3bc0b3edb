import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { dataOf, dataText } from '../../src-main/cli/registry-data'
import { VmmError } from '../../vmm/model/errors'
import { vivarium } from '../support/command-line'
import { access, hive, registry, registryDiff, registryKey } from '../support/command-file-views'
import { notingMain } from '../support/noting-main'
import { domainView } from '../support/views'

const web = domainView({ id: 'id-web', name: 'web' })
const other = domainView({ id: 'id-other', name: 'other' })
const TASK = { id: 'id-task', title: 'Work', state: 'succeeded', failure: null, resultId: 'id-hive' }
const TEXT = Buffer.from('a text in parts\0', 'utf16le')
const KEY = 'HKLM\\Software\\Example'

const mainThat = () =>
  notingMain({
    'events.subscribe': () => ({}),
    'domains.list': () => [web, other],
    'snapshots.list': () => [{ id: 'id-snapshot', name: 'before' }],
    'registry.get': () => registry,
    'registry.update': (args) => ({ ...registry, ...(args as { registry: object }).registry }),
    'registry.list': () => registryKey,
    'registry.value': (args) => {
      const { offset } = args as { offset: number }
      return { type: 1, size: TEXT.length, bytes: TEXT.subarray(offset, offset + 7) }
    },
    'registry.setValue': () => ({}),
    'registry.deleteValue': () => ({}),
    'registry.renameValue': () => ({}),
    'registry.createKey': (args) => {
      if ((args as { key: string }).key !== KEY) return {}
      throw new VmmError('conflict', 'There is such a key already.')
    },
    'registry.deleteKey': () => ({}),
    'registry.renameKey': () => ({}),
    'registry.search': () => ({ hits: [{ key: KEY, value: '', text: 'found\u001b[2J' }], next: 'place' }),
    'registry.diff': () => registryDiff,
    'registry.revert': () => ({}),
    'registry.export': () => TASK,
    'registry.import': () => TASK,
    'registry.writePrefix': () => ({}),
    'registry.takePrefix': () => ({ changes: 2 }),
    'registry.explain': () => access,
    'hives.list': () => [hive],
    'hives.rename': () => ({}),
    'hives.remove': () => ({}),
  })

describe('vivarium registry', () => {
  test('shows what it is made of, a key, and what is found', async () => {
    const { home, asked } = await mainThat()

    const shown = await vivarium(home, ['registry', 'web'])
    const listed = await vivarium(home, ['registry', 'ls', 'web', 'HKCU\\Software', '--limit', '1'])
    const found = await vivarium(home, ['registry', 'search', 'web', 'ex', '--under', KEY])
    const explained = await vivarium(home, ['registry', 'explain', 'web', KEY])

    expect(shown.stdout).toMatch(/^Base hives: +HKLM\\SOFTWARE \(windows\)$/m)
    expect(shown.stdout).toMatch(/^Wine prefixes: +work:\/\.wine$/m)
    expect(listed.stdout).toContain('HKCU\\Software is HKU\\S-1\\Software')
    expect(listed.stdout).toMatch(/^\* +Wine\\ +key$/m)
    expect(listed.stdout).toMatch(/^ +\(default\) +REG_SZ +hello$/m)
    expect(listed.stdout).toContain('4 more: use --offset 1.')
    expect(asked['registry.list']).toEqual([{ id: 'id-web', key: 'HKCU\\Software', offset: 0, limit: 1 }])
    expect(found.stdout).toContain('(default)  found\ufffd[2J')
    expect(found.stdout).toContain("--after 'place'")
    expect(asked['registry.search']).toMatchObject([{ text: 'ex', under: KEY, limit: 100 }])
    expect(explained.stdout).toContain("change: refused by 'Keep'")
  })

  test('gets a value whole', async () => {
    const { home } = await mainThat()
    const file = join(home, 'value')

    const text = await vivarium(home, ['registry', 'get', 'web', KEY])
    const json = await vivarium(home, ['registry', 'get', 'web', KEY, 'name', '--output', file, '--json'])
    const again = await vivarium(home, ['registry', 'get', 'web', KEY, 'name', '--output', file])

    expect(text.stdout).toBe('a text in parts\n')
    expect(JSON.parse(json.stdout)).toEqual({ type: 1, size: TEXT.length, base64: TEXT.toString('base64') })
    expect(await readFile(file)).toEqual(TEXT)
    expect(again.stderr).toContain('Name a new file')
  })

  test('sets, makes, deletes and renames', async () => {
    const { home, asked } = await mainThat()
    const file = join(home, 'bytes')
    await writeFile(file, 'raw')

    await vivarium(home, ['registry', 'set', 'web', KEY, 'n', '10', '--type', 'dword'])
    await vivarium(home, ['registry', 'set', 'web', KEY, '', '--type', 'binary', '--file', file])
    const wrong = await vivarium(home, ['registry', 'set', 'web', KEY, 'n', 'ten', '--type', 'dword'])
    await vivarium(home, ['registry', 'mk', 'web', 'HKLM\\New'])
    await vivarium(home, ['registry', 'rm', 'web', KEY, ''])
    await vivarium(home, ['registry', 'delete', 'web', KEY])
    await vivarium(home, ['registry', 'rename', 'web', KEY, 'Other'])
    await vivarium(home, ['registry', 'rename', 'web', KEY, 'm', '--value', 'n'])

    const inKey = { id: 'id-web', key: KEY }
    const set = asked['registry.setValue'] as { data: Uint8Array }[]
    expect(set).toMatchObject([
      { ...inKey, name: 'n', type: 4 },
      { ...inKey, name: '', type: 3 },
    ])
    expect(set.map(({ data }) => Buffer.from(data).toString('latin1'))).toEqual(['\n\0\0\0', 'raw'])
    expect(wrong).toMatchObject({ status: 1, stderr: expect.stringContaining("'ten' is no number of 32 bits") })
    expect(asked['registry.createKey']).toEqual([inKey, inKey, { ...inKey, key: 'HKLM\\New' }])
    expect(asked['registry.deleteValue']).toEqual([{ ...inKey, name: '' }])
    expect(asked['registry.deleteKey']).toEqual([inKey])
    expect(asked['registry.renameKey']).toEqual([{ ...inKey, to: 'Other' }])
    expect(asked['registry.renameValue']).toEqual([{ ...inKey, name: 'n', to: 'm' }])
  })

  test('compares with its base, a snapshot or another domain, and puts back', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['registry', 'diff', 'web'])
    await vivarium(home, ['registry', 'diff', 'web', '--since-snapshot', 'before'])
    await vivarium(home, ['registry', 'diff', 'web', '--domain', 'other'])
    const both = await vivarium(home, ['registry', 'diff', 'web', '--domain', 'other', '--since-snapshot', 'before'])
    await vivarium(home, ['registry', 'revert', 'web', KEY, ''])
    await vivarium(home, ['registry', 'revert', 'web', '--all'])
    const unclear = await vivarium(home, ['registry', 'revert', 'web'])

    expect(stdout).toMatch(/^changed +HKLM\\A +\(default\) +old +new$/m)
    expect(stdout).toMatch(/^deleted +HKLM\\B$/m)
    expect(stdout).toContain('0 added, 2 changed, 1 deleted; 1 more: use --offset 2')
    expect(asked['registry.diff']).toMatchObject([
      { since: { base: true } },
      { since: { snapshotId: 'id-snapshot' } },
      { since: { domainId: 'id-other' } },
    ])
    expect(both.stderr).toContain('compared with one thing')
    expect(asked['registry.revert']).toMatchObject([{ entries: [{ key: KEY, value: '' }] }, { entries: [] }])
    expect(unclear.stderr).toContain('--all')
  })

  test('is written to files and read from them', async () => {
    const { home, asked } = await mainThat()

    await vivarium(home, ['registry', 'export', 'web', '/tmp/a.reg', KEY])
    await vivarium(home, ['registry', 'export', 'web', '/tmp/a.hive', KEY, '--replace'])
    await vivarium(home, ['registry', 'export', 'web', '/tmp/a.txt', '--diff', '--since-snapshot', 'before'])
    const unclear = await vivarium(home, ['registry', 'export', 'web', '/tmp/a.reg'])
    await vivarium(home, ['registry', 'import', 'web', '/tmp/a.reg'])
    const json = await vivarium(home, ['registry', 'import', 'web', '/tmp/S', '--hive', '--key', 'HKLM\\S', '--json'])

    expect(asked['registry.export']).toMatchObject([
      { what: 'branch', format: 'reg', key: KEY, path: '/tmp/a.reg', replace: false },
      { what: 'branch', format: 'regf', replace: true },
      { what: 'diff', format: 'reg', since: { snapshotId: 'id-snapshot' } },
    ])
    expect(unclear.stderr).toContain('--diff')
    expect(asked['registry.import']).toMatchObject([
      { source: { path: '/tmp/a.reg' }, as: 'changes', key: '' },
      { source: { path: '/tmp/S' }, as: 'hive', key: 'HKLM\\S' },
    ])
    expect(JSON.parse(json.stdout)).toMatchObject({ hiveId: 'id-hive' })
  })

  test('knows Wine prefixes, base hives, and whether it is served', async () => {
    const { home, asked } = await mainThat()
    const prefix = { share: 'work', path: '/.wine' }
    const fresh = { share: 'work', path: '/other' }

    await vivarium(home, ['registry', 'prefix', 'write', 'web', 'work:/.wine'])
    const taken = await vivarium(home, ['registry', 'prefix', 'take', 'web', 'work:/.wine'])
    await vivarium(home, ['registry', 'prefix', 'add', 'web', 'work:/other'])
    await vivarium(home, ['registry', 'prefix', 'rm', 'web', 'work:/.wine'])
    await vivarium(home, ['registry', 'serve', 'web', '--off'])
    const hives = await vivarium(home, ['registry', 'hives'])
    await vivarium(home, ['registry', 'hives', 'rename', 'windows', 'win'])
    await vivarium(home, ['registry', 'hives', 'rm', 'windows'])

    expect(asked['registry.writePrefix']).toEqual([{ id: 'id-web', prefix }])
    expect(taken.stdout).toBe('2 changes were taken.\n')
    expect(asked['registry.update']).toMatchObject([
      { registry: { prefixes: [prefix, fresh] } },
      { registry: { prefixes: [] } },
      { registry: { served: false } },
    ])
    expect(hives.stdout).toMatch(/^windows +regf +10 +20 +5\.0 kB +1 +id-hive$/m)
    expect(asked['hives.rename']).toEqual([{ hiveId: 'id-hive', name: 'win' }])
    expect(asked['hives.remove']).toEqual([{ hiveId: 'id-hive' }])
  })

  test.each([
    [['registry', 'set', 'web', KEY, 'n', '--type', 'link']],
    [['registry', 'prefix', 'write', 'web', 'work']],
    [['registry', 'export', 'web', '/tmp/a', '--format', 'xml']],
  ])('%j is wrong use', async (args) => {
    expect((await vivarium('/nowhere/at/all', args)).status).toBe(2)
  })
})

describe('data of a value', () => {
  test.each([
    ['sz', ['a é'], 1, 'a é'],
    ['multi-sz', ['one', 'two'], 7, 'one\ntwo'],
    ['multi-sz', [], 7, ''],
    ['dword', ['0xffffffff'], 4, '4294967295'],
    ['qword', ['18446744073709551615'], 11, '18446744073709551615'],
    ['binary', ['00,ff', 'A0'], 3, '00ffa0'],
  ] as const)('%s %j is read back', (type, words, number, text) => {
    expect(dataText(number, dataOf(type, words))).toBe(text)
  })

  test('ends as Windows ends it', () => {
    expect(dataOf('sz', ['a'])).toEqual(Buffer.from('a\0', 'utf16le'))
    expect(dataOf('multi-sz', ['a'])).toEqual(Buffer.from('a\0\0', 'utf16le'))
    expect(dataText(4, Buffer.from([1, 2]))).toBe('0102')
  })

  test.each([
    ['dword', ['4294967296']],
    ['dword', ['-1']],
    ['qword', ['']],
    ['binary', ['abc']],
    ['sz', ['two', 'words']],
  ] as const)('%s %j is refused', (type, words) => {
    expect(() => dataOf(type, words)).toThrow(expect.objectContaining({ kind: 'invalid' }))
  })
})
