import { describe, expect, test } from 'vitest'
import type { RegistryRule } from '../../vmm/model/policy-registry'
import { buildBaseHive } from '../../vmm/registry/base-hive-build'
import { BaseHives } from '../../vmm/registry/base-hives'
import { plainKey, REG } from '../../vmm/registry/hive'
import { readRegText } from '../../vmm/registry/reg-text'
import { branchChanges, writeRegText } from '../../vmm/registry/reg-text-write'
import { changesOf, diffRegistries } from '../../vmm/registry/registry-diff'
import { RegistryProvider } from '../../vmm/registry/registry-provider'
import { RegistryRules } from '../../vmm/registry/registry-rules'
import { RegistrySearch } from '../../vmm/registry/registry-search'
import { RegistryStore } from '../../vmm/registry/registry-store'
import { Registry } from '../../vmm/registry/registry-tree'
import { RuledRegistry } from '../../vmm/registry/ruled-registry'
import { diffWinePrefix, hiveKeyOf, readWinePrefix, WINE_USER, writeWinePrefix } from '../../vmm/registry/wine-prefix'
import { StoreKey } from '../../vmm/sealed/store-key'
import { temporaryFolder } from '../support/temporary-folder'

const text = (content: string) => Buffer.from(`${content}\0`, 'utf16le')
const sz = (name: string, content: string) => ({ name, type: REG.SZ, data: text(content) })

function machine() {
  const root = plainKey('')
  const software = plainKey('Software')
  const classes = plainKey('Classes')
  const secret = plainKey('Secret')
  secret.values.push(sz('', 'hidden word'), sz('Other', 'x'))
  classes.keys.push(plainKey('.txt'))
  software.keys.push(classes, secret)
  root.keys.push(software)
  return buildBaseHive(root)
}

const newRegistry = (hive = machine()) => new Registry({ hives: [{ at: 'HKLM', hive }], user: WINE_USER })
const rule = (action: RegistryRule['action'], key: string, to = ''): RegistryRule => ({
  name: 'R',
  action,
  keys: [key],
  to,
})

describe('a registry', () => {
  test('keeps names as they were written and finds them in any case', () => {
    const registry = newRegistry()
    registry.setValue('HKEY_LOCAL_MACHINE\\SOFTWARE\\secret', sz('OTHER', 'y'))

    expect(registry.values('HKLM\\software\\SECRET', 0, 10).items.map(({ name }) => name)).toEqual(['', 'Other'])
    expect(registry.value('HKLM\\Software\\Secret', 'other')?.data).toEqual(text('y'))
  })

  test('HKCR is changed where the key is', () => {
    const registry = newRegistry()
    registry.setValue('HKCR\\.txt', sz('', 'machine'))
    registry.createKey('HKCU\\Software\\Classes\\.txt')
    registry.setValue('HKCR\\.txt', sz('', 'user'))

    expect(registry.value('HKLM\\Software\\Classes\\.txt', '')?.data).toEqual(text('machine'))
    expect(registry.value('HKCR\\.txt', '')?.data).toEqual(text('user'))
    registry.deleteKey('HKCR\\.txt', false)
    expect(registry.value('HKCR\\.txt', '')?.data).toEqual(text('machine'))
  })

  test('a diff leads from one to the other, and back', () => {
    const [before, after] = [newRegistry(), newRegistry()]
    after.moveKey('HKLM\\Software\\Secret', 'HKLM\\Software\\Open')
    after.deleteKey('HKLM\\Software\\Classes', true)
    after.setValue('HKLM\\Software\\Open', sz('New', 'z'))
    const there = diffRegistries(before, after).differences
    const back = diffRegistries(after, before).differences
    const copy = before.copy()
    for (const change of changesOf(there, 1n)) copy.change(change)

    expect(there.length).toBeGreaterThan(5)
    expect(diffRegistries(copy, after).differences).toEqual([])
    for (const change of changesOf(back, 1n)) copy.change(change)
    expect(diffRegistries(copy, before).differences).toEqual([])
  })

  test('search finds keys, values and text, changed or not', () => {
    const registry = newRegistry()
    registry.setValue('HKCU', sz('A word', ''))
    const { hits, done } = new RegistrySearch(registry, 'WORD').next(10)

    expect(done).toBe(true)
    expect(hits).toEqual([
      { path: 'HKLM\\Software\\Secret', what: 'data', name: '' },
      { path: `HKU\\${WINE_USER}`, what: 'value', name: 'A word' },
    ])
  })
})

test('a store gives back what was committed, from its journal, a snapshot and after compaction', async () => {
  const folder = temporaryFolder()
  const key = StoreKey.of(Buffer.alloc(32, 7), 'registry')
  const bases = new BaseHives(folder, key)
  const hive = machine()
  bases.add(hive)
  const options = { folder, key, base: { hives: [{ at: 'HKLM', id: hive.id }], user: WINE_USER } }
  const store = RegistryStore.open({ ...options, bases })
  store.registry.setValue('HKLM\\Software', { name: 'Big', type: REG.BINARY, data: Buffer.alloc(3 << 20, 5) })
  store.registry.moveKey('HKLM\\Software\\Secret', 'HKLM\\Software\\Moved')
  const snapshot = temporaryFolder()
  store.snapshot(snapshot)
  await store.commit()
  const then = store.registry.copy()
  const again = RegistryStore.open({ ...options, bases: new BaseHives(folder, key) })

  expect(diffRegistries(then, again.registry, { times: true }).differences).toEqual([])
  again.registry.deleteKey('HKLM\\Software', true)
  again.compact()
  again.restore(snapshot)
  expect(diffRegistries(then, again.registry, { times: true }).differences).toEqual([])
  again.close()
})

describe('files', () => {
  test('.reg: a branch comes back as it was', () => {
    const registry = newRegistry()
    const odd = { name: 'a"\\b', type: 0x1234, data: Buffer.from([1, 2, 3]) }
    registry.setValue('HKLM\\Software\\Secret', odd)
    registry.setValue('HKLM\\Software\\Secret', sz('lines', 'one\r\ntwo'))
    const file = writeRegText(branchChanges('HKLM\\Software', hiveKeyOf(registry, 'HKLM\\Software')))
    const other = newRegistry(buildBaseHive(plainKey('')))
    for (const change of readRegText(file)) other.change(change)

    expect(diffRegistries(registry, other).differences).toEqual([])
  })

  test('.reg: REGEDIT4, deletions and continued lines', () => {
    const file = 'REGEDIT4\n[-HKEY_CURRENT_USER\\A]\n[HKCU\\B]\n@=-\n"x"=hex(2):61,\\\n  62,00 ; why\n'
    const changes = readRegText(Buffer.from(file))

    expect(changes.map(({ kind }) => kind)).toEqual(['delete-key', 'create-key', 'delete-value', 'set-value'])
    expect(changes[3]).toMatchObject({ value: { name: 'x', type: 2, data: text('ab') } })
    expect(() => readRegText(Buffer.from(`${file}nonsense`))).toThrow('line 7')
  })

  test('Wine: written files are read back, and a change is found exactly', () => {
    const registry = newRegistry()
    const files = writeWinePrefix(registry)
    expect(diffWinePrefix(registry, files)).toEqual([])

    const { hives } = readWinePrefix(files)
    const guest = new Registry({ hives, user: WINE_USER })
    guest.setValue('HKLM\\Software\\Secret', sz('Gr\u00fc\u00dfe', '\u00e4f\n'))
    expect(diffWinePrefix(registry, writeWinePrefix(guest))).toMatchObject([
      { kind: 'value-added', path: 'HKLM\\Software\\Secret', after: { name: 'Gr\u00fc\u00dfe' } },
    ])
  })
})

describe('rules', () => {
  test.each(['HKLM\\Software\\Classes\\.txt', 'hkcr\\.TXT', 'HKCR\\.txt'])('an alias is no way around: %s', (path) => {
    for (const key of ['HKLM\\Software\\Classes', 'HKCR\\.*']) {
      const ruled = new RuledRegistry(newRegistry(), new RegistryRules([rule('hide', key)]))
      expect(() => ruled.key(path)).toThrow('(hide)')
    }
  })

  test('nor is a symbolic link, a move or the deletion of a tree', () => {
    const registry = newRegistry()
    const at = 0n
    registry.change({ kind: 'create-key', path: 'HKLM\\Link', className: null, link: true, at })
    const data = Buffer.from('\\Registry\\Machine\\Software', 'utf16le')
    registry.change({
      kind: 'set-value',
      path: 'HKLM\\Link',
      value: { name: 'SymbolicLinkValue', type: REG.LINK, data },
      at,
    })
    const ruled = new RuledRegistry(registry, new RegistryRules([rule('deny', 'HKLM\\Software\\Secret')]))

    expect(() => ruled.value('HKLM\\Link\\Secret', '')).toThrow('(deny)')
    expect(() => ruled.moveKey('HKLM\\Software', 'HKLM\\S')).toThrow('(deny)')
    expect(() => ruled.deleteKey('HKLM\\Software', true)).toThrow('(deny)')
    expect(ruled.explain('HKLM\\Link\\Secret')).toMatchObject({ action: 'deny', rule: 'R' })
  })

  test('a redirect shows another key', () => {
    const rules = new RegistryRules([rule('redirect', 'HKCU\\Away', 'HKLM\\Software')])
    const ruled = new RuledRegistry(newRegistry(), rules)

    expect(ruled.value(`HKU\\${WINE_USER}\\Away\\Secret`, 'other')).toMatchObject({ data: new Uint8Array(text('x')) })
  })
})

test('the tree of files: lookups, types, bad data and links between names', () => {
  const registry = newRegistry()
  const tree = new RegistryProvider(registry, () => Promise.resolve())
  const machineKey = tree.lookup(tree.root(), 'HKEY_LOCAL_MACHINE')
  const key = tree.createFolder(machineKey, 'a%2Fb')
  const file = tree.createFile(key, 'n')
  tree.setXattr(file, 'user.reg.type', Buffer.from('REG_DWORD'), 'either')
  const open = tree.open(file, true)

  expect(() => open.write(0, Buffer.from([1, 2, 3]))).toThrow('EINVAL')
  open.write(0, Buffer.from([1, 2, 3, 4]))
  expect(registry.value('HKLM\\a/b', 'N')).toMatchObject({ type: REG.DWORD, data: new Uint8Array([1, 2, 3, 4]) })
  expect(tree.list(machineKey).map(({ name }) => name)).toEqual(['a%2Fb', 'Software'])
  expect(() => tree.unlink(machineKey, 'a%2Fb', true)).toThrow('ENOTEMPTY')
  tree.rename(machineKey, 'a%2Fb', machineKey, 'c')
  expect(open.read(0, new Uint8Array(8))).toBe(4)
  tree.unlink(key, 'n', false)
  expect(() => tree.attributes(file)).toThrow('ESTALE')
})
