// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import type { CallArgs, RegistryChangeView } from '../../src-main/contract'
import { entryMatches, entryWords, sideText } from '../../src-renderer/composables/registry-diff'
import { useRegistryDiff } from '../../src-renderer/composables/useRegistryDiff'
import { useRegistryEdits } from '../../src-renderer/composables/useRegistryEdits'
import { useRegistrySearch } from '../../src-renderer/composables/useRegistrySearch'
import { useApp } from '../../src-renderer/stores/app'
import { useDialogs } from '../../src-renderer/stores/dialogs'
import { useDomains } from '../../src-renderer/stores/domains'
import { useFileEvents } from '../../src-renderer/stores/files'
import { useNotices } from '../../src-renderer/stores/notices'
import { entryView } from '../support/registry-views'
import { scriptedConnection } from '../support/scripted-connection'
import { domainView } from '../support/views'

const settle = () => new Promise((done) => setTimeout(done))
const domain = () => domainView({ id: 'd', name: 'office' })

let scope: EffectScope
let entries: RegistryChangeView[]
let answers: Record<string, (args: never) => unknown>
const calls: [name: string, args: unknown][] = []
const told = (name: string): unknown[] => calls.filter(([called]) => called === name).map(([, args]) => args)

beforeEach(async () => {
  setActivePinia(createPinia())
  scope = effectScope()
  calls.length = 0
  entries = Array.from({ length: 1500 }, (_, n) => entryView({ value: `v${n}` }))
  answers = {
    'events.subscribe': () => ({}),
    'app.info': () => ({ engines: [] }),
    'domains.list': () => [domain(), domainView({ id: 'e', name: 'other' })],
    'snapshots.list': () => [{ id: 's', name: 'clean' }],
    'registry.diff': ({ offset = 0, limit = 1000 }: CallArgs<'registry.diff'>) => ({
      entries: entries.slice(offset, offset + limit),
      total: entries.length,
      added: entries.length,
      changed: 0,
      deleted: 0,
    }),
    'registry.revert': () => ({}),
    'registry.list': () => ({ canonical: 'HKU\\me\\Gone' }),
    'registry.deleteKey': () => ({}),
    'registry.search': ({ after }: CallArgs<'registry.search'>) => ({
      hits: [{ key: after ? 'B' : 'A', value: null, text: '' }],
      next: after ? '' : 'token',
    }),
  }
  const noted = new Proxy(answers, {
    get: (all, name: string) =>
      all[name] && ((args: never) => (calls.push([name, args]), (all[name] as (args: never) => unknown)(args))),
  })
  useFileEvents()
  useDomains()
  useApp().connect(scriptedConnection(noted))
  await settle()
})
afterEach(() => scope.stop())

/** Answers the question that is asked next. */
async function answer(yes: boolean): Promise<void> {
  await settle()
  const open = useDialogs().open
  if (open?.kind !== 'question') throw new Error('nothing was asked')
  open.answer(yes)
  await settle()
}

describe('entries that differ', () => {
  it('are told with the type where it matters', () => {
    const before = { type: 1, text: 'old', size: 8 }
    const changed = entryView({ kind: 'changed', before })
    expect([sideText(changed, 'before'), sideText(changed, 'after')]).toEqual(['old', 'new'])
    const retyped = { ...changed, after: { type: 4, text: '0x1 (1)', size: 4 } }
    expect(sideText(retyped, 'after')).toBe('REG_DWORD: 0x1 (1)')
    expect(sideText(entryView({ after: { type: 3, text: '', size: 0 } }), 'after')).toBe('REG_BINARY: no data')
    expect(entryWords(entryView({ value: '' }))).toBe('added, value (Default) of HKLM\\Software, after: REG_SZ: new')
    expect(entryWords(entryView({ kind: 'deleted', value: null, after: null }))).toBe('deleted, key HKLM\\Software')
  })

  it('are found by all that is shown of them, and by their kind', () => {
    const entry = entryView({ kind: 'changed', before: { type: 1, text: 'old', size: 8 } })
    expect(['software NAME', 'old new', ''].map((text) => entryMatches(entry, text, 'all'))).toEqual([true, true, true])
    expect([entryMatches(entry, 'gone', 'all'), entryMatches(entry, '', 'added')]).toEqual([false, false])
    expect(entryMatches(entryView({ value: '' }), '(default)', 'added')).toBe(true)
  })

  it('come in pages, from the base, a snapshot or another domain', async () => {
    const diff = scope.run(() => useRegistryDiff(domain))!
    await settle()
    expect([diff.all.value.length, diff.left.value]).toEqual([1000, 500])
    await diff.more()
    expect([diff.all.value.length, diff.left.value]).toEqual([1500, 0])
    expect(diff.choices.value.map(({ word }) => word)).toEqual(['The base hives', 'Snapshot clean', 'Domain other'])
    diff.sinceId.value = 'domain:e'
    await settle()
    expect(calls.at(-1)).toEqual(['registry.diff', { id: 'd', since: { domainId: 'e' }, limit: 1000 }])
    expect(diff.all.value).toHaveLength(1000)
  })

  it('are put back after a question: those that are chosen, or all', async () => {
    const diff = scope.run(() => useRegistryDiff(domain))!
    await settle()
    expect(diff.reason.value).not.toBe('')
    diff.choose(diff.all.value.slice(0, 2), true)
    diff.choose(diff.all.value.slice(0, 1), false)
    void diff.revert('chosen')
    await answer(false)
    expect(told('registry.revert')).toEqual([])
    void diff.revert('chosen')
    await answer(true)
    void diff.revert('all')
    await answer(true)
    const since = { base: true }
    expect(told('registry.revert')).toEqual([
      { id: 'd', since, entries: [{ key: 'HKLM\\Software', value: 'v1' }] },
      { id: 'd', since, entries: [] },
    ])
    // what is gone is not chosen any more
    entries = entries.slice(5)
    await diff.refresh()
    expect(diff.chosen.value.size).toBe(0)
    await diff.more()
    diff.choose(diff.all.value, true)
    expect(diff.reason.value).toContain('At most 1000')
  })
})

describe('a key that is deleted', () => {
  const undo = () => useNotices().list.at(-1)?.actions[0]
  const remove = async () => {
    void scope.run(() => useRegistryEdits(() => 'd'))!.deleteKey('HKCU\\Gone')
    await answer(true)
  }

  it('comes back where it really lies, when all of it was as in the base hives', async () => {
    await remove()
    undo()?.run()
    await settle()
    expect(told('registry.revert')).toEqual([
      { id: 'd', since: { base: true }, entries: [{ key: 'HKU\\me\\Gone', value: null }] },
    ])
  })

  it('does not come back where something in it was changed, even beyond the first page', async () => {
    entries.push(entryView({ key: 'hku\\ME\\gone\\Deep' }))
    await remove()
    expect(undo()).toBeUndefined()
    expect(told('registry.deleteKey')).toHaveLength(1)
  })
})

describe('a search', () => {
  it('goes on from hit to hit, asks for more at the end, and begins again', async () => {
    const search = scope.run(() => useRegistrySearch(() => 'd'))!
    expect(search.reason.value).toBe('Say what to look for.')
    search.question.text = 'x'
    const keys = [await search.step(), await search.step(), await search.step()].map((hit) => hit?.key)
    expect(keys).toEqual(['A', 'B', 'A'])
    expect(told('registry.search')).toHaveLength(2)
    search.question.data = false
    expect(search.hits.value).toBeNull()
  })
})
