// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import { VmmError, type CallArgs, type ContractEvent } from '../../src-main/contract'
import { isWithin, keyNameFault, typedPath } from '../../src-renderer/composables/registry-path'
import { nextBeginning } from '../../src-renderer/composables/registry-tree'
import { useRegistryTree } from '../../src-renderer/composables/useRegistryTree'
import { sortValues, useRegistryValues } from '../../src-renderer/composables/useRegistryValues'
import type { ConnectionListener } from '../../src-renderer/connection'
import { useApp } from '../../src-renderer/stores/app'
import { useFileEvents } from '../../src-renderer/stores/files'
import { keyView, valueView, type KeyContent } from '../support/registry-views'
import { scriptedConnection } from '../support/scripted-connection'

const settle = () => new Promise((done) => setTimeout(done))
const many = (count: number, stem: string): Record<string, KeyContent> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`${stem}${String(n).padStart(4, '0')}`, {}]))

let scope: EffectScope
let listener: ConnectionListener
let registry: KeyContent
const asked: [key: string, offset: number][] = []
const changed: ContractEvent = {
  topic: 'files',
  payload: { id: 'd', meters: null, denials: [], changed: 'registry' },
}

beforeEach(async () => {
  setActivePinia(createPinia())
  scope = effectScope()
  asked.length = 0
  registry = {
    keys: {
      HKCR: { keys: many(2500, 'Class') },
      HKLM: { keys: { Software: { keys: { Example: { own: true, keys: { Deep: {} } }, Wine: {} } }, System: {} } },
    },
  }
  useFileEvents()
  useApp().connect((given) => {
    listener = given
    return scriptedConnection({
      'events.subscribe': () => ({}),
      'app.info': () => ({ engines: [] }),
      'registry.list': ({ key, offset = 0, limit = 1000 }: CallArgs<'registry.list'>) => {
        asked.push([key, offset])
        const view = keyView(registry, key, offset, limit)
        if (!view) throw new VmmError('not-found', 'There is no such key.')
        return view
      },
    })(given)
  })
  await settle()
})
afterEach(() => scope.stop())

const opened = async () => {
  const tree = scope.run(() => useRegistryTree(() => 'd'))!
  await settle()
  const shown = () => tree.rows.value.map(({ level, name, more }) => `${level} ${more ? `+${more}` : name}`)
  return { ...tree, shown }
}

describe('the tree of keys', () => {
  it('reads only what is opened, a page at a time', async () => {
    const { shown, unfold, rows, readMore, fold } = await opened()
    expect(shown()).toEqual(['1 HKCR', '1 HKLM'])
    await unfold('HKCR')
    expect(rows.value).toHaveLength(1003)
    expect(rows.value[1001]).toMatchObject({ more: 1500, level: 2, place: 1001, of: 2500, parent: 0 })
    await readMore(rows.value[1001]!)
    await readMore(rows.value[2001]!)
    expect(rows.value).toHaveLength(2502)
    expect(rows.value.some(({ more }) => more > 0)).toBe(false)
    expect(asked).toEqual([
      ['', 0],
      ['HKCR', 0],
      ['HKCR', 1000],
      ['HKCR', 2000],
    ])
    fold('HKCR')
    expect(shown()).toEqual(['1 HKCR', '1 HKLM'])
  })

  it('goes to a key however it was written, and spells it as it is', async () => {
    const { go, chosen, shown, rows, failure } = await opened()
    expect(await go('[hkey_local_machine\\SOFTWARE\\example\\]')).toBe(true)
    expect(chosen.value).toBe('HKLM\\Software\\Example')
    expect(shown()).toEqual(['1 HKCR', '1 HKLM', '2 Software', '3 Example', '3 Wine', '2 System'])
    expect(rows.value[3]).toMatchObject({ own: true, open: false, place: 1, of: 2 })
    // on the third page
    expect(await go('HKCR\\class2400')).toBe(true)
    expect(chosen.value).toBe('HKCR\\Class2400')
    expect(await go('HKLM\\Nowhere')).toBe(false)
    expect(failure.value?.message).toBe('There is no such key.')
    expect(chosen.value).toBe('HKCR\\Class2400')
  })

  it('follows what changes, and lets go of what is gone', async () => {
    const { go, chosen, unfold, shown } = await opened()
    await go('HKLM\\Software\\Example\\Deep')
    await unfold('HKLM\\Software\\Example')
    registry.keys!['HKLM']!.keys!['Software'] = { keys: { Fresh: {} } }
    listener.onEvent(changed)
    await settle()
    expect(shown()).toEqual(['1 HKCR', '1 HKLM', '2 Software', '3 Fresh', '2 System'])
    expect(chosen.value).toBe('HKLM\\Software')
    // what comes back is as open as it was
    registry.keys!['HKLM']!.keys!['Software'] = { keys: { Example: { keys: { Deep: {} } } } }
    listener.onEvent(changed)
    await settle()
    expect(shown()).toEqual(['1 HKCR', '1 HKLM', '2 Software', '3 Example', '4 Deep', '2 System'])
  })

  it('keeps what was read of a long list when it is read anew', async () => {
    const { unfold, rows, readMore } = await opened()
    await unfold('HKCR')
    await readMore(rows.value[1001]!)
    Object.assign(registry.keys!['HKCR']!.keys!, many(1, 'AAA'))
    listener.onEvent(changed)
    await settle()
    expect(rows.value[1]?.name).toBe('AAA0000')
    expect(rows.value.find(({ more }) => more > 0)).toMatchObject({ place: 2001, more: 501 })
  })

  it('finds a key by the letters of its name, around the end', async () => {
    const { go, rows } = await opened()
    await go('HKLM\\Software\\Wine')
    const names = rows.value.map(({ name }) => name)
    const at = (name: string) => names.indexOf(name)
    expect(nextBeginning(rows.value, at('HKCR'), 'h')).toBe(at('HKLM'))
    expect(nextBeginning(rows.value, at('HKLM'), 'H')).toBe(at('HKCR'))
    expect(nextBeginning(rows.value, at('Software'), 's')).toBe(at('System'))
    // the second letter stays where the first one led
    expect(nextBeginning(rows.value, at('System'), 'sy')).toBe(at('System'))
    expect(nextBeginning(rows.value, at('System'), 'so')).toBe(at('Software'))
    expect(nextBeginning(rows.value, 0, 'x')).toBe(-1)
  })
})

describe('the values of a key', () => {
  it('come in pages, and are those of the key that is chosen now', async () => {
    registry.keys!['HKLM']!.values = Array.from({ length: 1200 }, (_, n) => valueView({ name: `v${n}` }))
    const key = ref('HKLM')
    const { rows, left, more, view } = scope.run(() =>
      useRegistryValues(
        () => 'd',
        () => key.value,
      ),
    )!
    await settle()
    expect([rows.value.length, left.value]).toEqual([1000, 200])
    await more()
    expect([rows.value.length, left.value]).toEqual([1200, 0])
    key.value = 'HKCR'
    expect(view.value).toBeNull()
    await settle()
    expect(rows.value).toEqual([])
  })

  it('are sorted by each column, numbers in names by their size', () => {
    const values = [
      valueView({ name: 'v10', type: 4, size: 4, text: 'b' }),
      valueView({ name: 'v9', type: 1, size: 30, text: 'c' }),
      valueView({ name: '', type: 1, size: 4, text: 'a' }),
    ]
    const names = (column: 'name' | 'type' | 'text' | 'size', down = false) =>
      sortValues(values, { column, down }).map(({ name }) => name)
    expect(names('name')).toEqual(['', 'v9', 'v10'])
    expect(names('name', true)).toEqual(['v10', 'v9', ''])
    expect(names('type')).toEqual(['v10', '', 'v9'])
    expect(names('size')).toEqual(['', 'v10', 'v9'])
    expect(names('text', true)).toEqual(['v9', 'v10', ''])
  })
})

describe('paths', () => {
  it('are taken as they are written elsewhere', () => {
    expect(
      ['hklm', 'Computer\\HKEY_CURRENT_USER\\Console', ' HKU\\\\.Default\\ ', '[-HKEY_CLASSES_ROOT\\.txt]', ''].map(
        typedPath,
      ),
    ).toEqual(['HKLM', 'HKCU\\Console', 'HKU\\.Default', 'HKCR\\.txt', ''])
    expect([isWithin('HKLM\\A', 'hklm'), isWithin('HKLM\\AB', 'HKLM\\A'), isWithin('X', '')]).toEqual([
      true,
      false,
      true,
    ])
    expect(
      [keyNameFault('a'), keyNameFault(''), keyNameFault('a\\b'), keyNameFault('a'.repeat(256))].map(Boolean),
    ).toEqual([false, true, true, true])
  })
})
