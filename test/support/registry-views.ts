import type { RegistryChangeView, RegistryKeyView, RegistryValueView } from '../../src-main/contract'

/** A registry that answers `registry.list` as main does, where a test of a client needs one. */

export interface KeyContent {
  keys?: Record<string, KeyContent>
  values?: RegistryValueView[]
  own?: boolean
}

export const valueView = (fields: Partial<RegistryValueView> = {}): RegistryValueView => ({
  name: 'Name',
  type: 1,
  text: 'text',
  size: 10,
  own: false,
  ...fields,
})

export const entryView = (fields: Partial<RegistryChangeView> = {}): RegistryChangeView => ({
  kind: 'added',
  key: 'HKLM\\Software',
  value: 'Name',
  before: null,
  after: { type: 1, text: 'new', size: 8 },
  ...fields,
})

/** A page of a key, which is found without regard to case; undefined where there is none. */
export function keyView(top: KeyContent, path: string, offset: number, limit: number): RegistryKeyView | undefined {
  const names = path === '' ? [] : path.split('\\')
  let at: KeyContent | undefined = top
  for (const name of names) {
    const found: [string, KeyContent] | undefined = Object.entries(at.keys ?? {}).find(
      ([known]) => known.toUpperCase() === name.toUpperCase(),
    )
    at = found?.[1]
    if (!at) return undefined
  }
  const all = Object.entries(at.keys ?? {}).sort(([a], [b]) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1))
  const subkeys = all
    .slice(offset, offset + limit)
    .map(([name, { keys, own }]) => ({ name, hasSubkeys: Object.keys(keys ?? {}).length > 0, own: own ?? false }))
  const values = at.values ?? []
  return {
    key: path,
    canonical: '',
    subkeys,
    subkeyTotal: all.length,
    values: values.slice(offset, offset + limit),
    valueTotal: values.length,
    writtenAt: null,
  }
}
