import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { openScripted, scriptedDomain } from '../support/scripted-vivarium'
import { temporaryFolder } from '../support/temporary-folder'
import { finish, type Call } from '../support/vivarium'

const KEY = 'HKLM\\Software\\Example'
const REG = [
  'Windows Registry Editor Version 5.00',
  '',
  '[HKEY_LOCAL_MACHINE\\Software\\Example]',
  '@="the default"',
  '"Number"=dword:0000002a',
  '"Bytes"=hex:01,02,ff',
  '',
  '[HKEY_CURRENT_USER\\Software\\Mine]',
  '"Text"="of the user"',
  '',
].join('\r\n')

const utf16 = (text: string) => new Uint8Array(Buffer.from(`${text}\0`, 'utf16le'))

async function imported(as: 'changes' | 'hive'): Promise<{ call: Call; id: string; folder: string }> {
  const { call } = await openScripted()
  const id = await scriptedDomain(call)
  const folder = temporaryFolder()
  const file = path.join(folder, 'example.reg')
  writeFileSync(file, `\ufeff${REG}`, 'utf16le')
  await finish(call, call('registry.import', { id, source: { path: file }, as, name: 'Example' }))
  return { call, id, folder }
}

describe('the registry of a domain', () => {
  test('takes a .reg file in, and shows keys and values', async () => {
    const { call, id } = await imported('changes')

    expect((await call('registry.list', { id, key: '' })).subkeys.map(({ name }) => name)).toEqual([
      'HKCR',
      'HKCU',
      'HKLM',
      'HKU',
    ])
    const { values } = await call('registry.list', { id, key: KEY.toLowerCase() })
    expect(values.map(({ name, type, text, own }) => [name, type, text, own])).toEqual([
      ['', 1, 'the default', true],
      ['Number', 4, '0x0000002a (42)', true],
      ['Bytes', 3, '01 02 ff', true],
    ])
    const user = await call('registry.list', { id, key: 'HKCU\\Software\\Mine' })
    expect(user.canonical).toMatch(/^HKU\\S-1-5-21-0-0-0-1000\\Software\\Mine$/i)
    const { bytes } = await call('registry.value', { id, key: KEY, name: 'Bytes' })
    expect([...bytes]).toEqual([1, 2, 255])
  })

  test('is changed, searched, compared and put back', async () => {
    const { call, id } = await imported('hive')
    expect(await call('registry.get', { id })).toMatchObject({ changes: 0, hives: [{}, {}] })

    await call('registry.createKey', { id, key: `${KEY}\\New` })
    await call('registry.setValue', { id, key: `${KEY}\\New`, name: 'A', type: 1, data: utf16('needle') })
    await call('registry.setValue', { id, key: KEY, name: 'Number', type: 4, data: Uint8Array.of(7, 0, 0, 0) })
    await call('registry.deleteValue', { id, key: KEY, name: 'Bytes' })
    await call('registry.renameKey', { id, key: `${KEY}\\New`, to: 'Newer' })

    const { hits, next } = await call('registry.search', { id, text: 'NEEDLE' })
    expect(hits).toEqual([{ key: `${KEY}\\Newer`, value: 'A', text: 'needle' }])
    expect(next).toBe('')
    const diff = await call('registry.diff', { id })
    expect(diff.entries.map(({ kind, key, value }) => [kind, key.replace(KEY, ''), value])).toEqual([
      ['changed', '', 'Number'],
      ['deleted', '', 'Bytes'],
      ['added', '\\Newer', null],
      ['added', '\\Newer', 'A'],
    ])
    await call('registry.revert', { id, entries: [{ key: KEY, value: 'Bytes' }] })
    expect([...(await call('registry.value', { id, key: KEY, name: 'Bytes' })).bytes]).toEqual([1, 2, 255])
    await call('registry.revert', { id })
    expect(await call('registry.diff', { id })).toMatchObject({ total: 0 })
  })

  test.each(['changes', 'hive'] as const)(
    'read as %s goes with snapshots, and is compared with them and with other domains',
    async (as) => {
      const { call, id } = await imported(as)
      const { resultId: snapshotId } = await finish(call, call('snapshots.create', { id, name: 'First' }))
      const { resultId: cloneId } = await finish(call, call('domains.clone', { id, name: 'Other' }))
      await call('registry.setValue', { id, key: KEY, name: 'After', type: 1, data: utf16('x') })

      const since = await call('registry.diff', { id, since: { snapshotId } })
      expect(since.entries).toMatchObject([{ kind: 'added', value: 'After', after: { text: 'x' } }])
      expect(await call('registry.diff', { id, since: { domainId: cloneId } })).toMatchObject({ total: 1 })

      await finish(call, call('snapshots.revert', { id, snapshotId }))
      expect(await call('registry.diff', { id, since: { snapshotId } })).toMatchObject({ total: 0 })
      expect(await call('registry.diff', { id, since: { domainId: cloneId } })).toMatchObject({ total: 0 })
    },
  )

  test('is written as .reg and as a hive, which another domain reads', async () => {
    const { call, id, folder } = await imported('changes')
    const [reg, hive] = [path.join(folder, 'out.reg'), path.join(folder, 'out.hive')]
    await finish(call, call('registry.export', { id, what: 'branch', key: KEY, path: reg }))
    await finish(call, call('registry.export', { id, what: 'branch', key: KEY, format: 'regf', path: hive }))
    expect(readFileSync(reg, 'utf16le')).toContain('"Number"=dword:0000002a\r\n')
    await expect(call('registry.export', { id, what: 'branch', key: KEY, path: reg })).rejects.toMatchObject({
      kind: 'conflict',
    })

    const other = await scriptedDomain(call, 'Two')
    await finish(call, call('registry.import', { id: other, source: { path: hive }, as: 'hive', key: KEY }))
    const { values } = await call('registry.list', { id: other, key: KEY })
    expect(values.map(({ text }) => text)).toEqual(['the default', '0x0000002a (42)', '01 02 ff'])
    const [shown] = (await call('hives.list', {})).filter(({ source }) => source === 'regf')
    expect(shown).toMatchObject({ usedBy: [other], values: 3 })
    await expect(call('hives.remove', { hiveId: shown?.id ?? '' })).rejects.toMatchObject({ kind: 'conflict' })
  })

  test('says what would happen to a key, also by its other names', async () => {
    const { call, id } = await imported('changes')
    await call('policy.set', {
      id,
      policy: { registry: { rules: [{ name: 'Away', action: 'hide', keys: ['HKCU\\Software'] }] } },
    })

    const key = 'HKU\\S-1-5-21-0-0-0-1000\\Software\\Mine'
    expect(await call('registry.explain', { id, key })).toMatchObject({
      uses: [
        { use: 'see', allowed: false, rule: 'Away', index: 0 },
        { use: 'read', allowed: false },
        { use: 'change', allowed: false },
      ],
    })
    expect((await call('registry.explain', { id, key: KEY })).sentence).toContain('no rule says otherwise')
  })

  test('is written into a Wine prefix of a share, and takes back what changed there', async () => {
    const { call, id, folder } = await imported('changes')
    await call('files.addShare', { id, folder, name: 'prefix', mode: 'direct' })
    const prefix = { share: 'prefix', path: '/' }
    await call('registry.writePrefix', { id, prefix })
    const system = path.join(folder, 'system.reg')
    const text = readFileSync(system, 'latin1')
    expect(text).toMatch(/^WINE REGISTRY Version 2/)
    expect(text).toContain('"Number"=dword:0000002a')
    expect(await call('registry.takePrefix', { id, prefix })).toEqual({ changes: 0 })

    writeFileSync(system, text.replace('"Number"=dword:0000002a', '"Number"=dword:00000007'), 'latin1')
    expect(await call('registry.takePrefix', { id, prefix })).toEqual({ changes: 1 })
    expect((await call('registry.list', { id, key: KEY })).values.find(({ name }) => name === 'Number')?.text).toBe(
      '0x00000007 (7)',
    )
  })
})
