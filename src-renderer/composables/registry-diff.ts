import { valueTypeName, type RegistryChangeView } from '../../src-main/contract'
import { size } from '../format'
import { shownName } from './useRegistryEdits'

/** Entries of a comparison of registries: which are shown, and in which words. */

export const CHANGE_FILTERS = { all: 'All', added: 'Added', changed: 'Changed', deleted: 'Deleted' } as const
export type ChangeFilter = keyof typeof CHANGE_FILTERS

/** Names an entry: a value is another thing than its key. */
export const entryId = ({ key, value }: Pick<RegistryChangeView, 'key' | 'value'>): string =>
  value === null ? key : `${key}\0${value}`

/** Whether an entry is of the wanted kind and all words of `text` are somewhere in what is shown of it. */
export function entryMatches(entry: RegistryChangeView, text: string, filter: ChangeFilter): boolean {
  if (filter !== 'all' && entry.kind !== filter) return false
  const { key, value, before, after } = entry
  const shown = [key, value === null ? '' : shownName(value), before?.text, after?.text].join(' ').toLowerCase()
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => shown.includes(word))
}

/** One side of an entry for people: its data, with the type where the two sides differ in it. */
export function sideText(entry: RegistryChangeView, side: 'before' | 'after'): string {
  const shown = entry[side]
  if (!shown) return entry.value === null ? '' : 'not there'
  const other = side === 'before' ? entry.after : entry.before
  const typed = other?.type === shown.type
  const data = shown.text || (shown.size === 0 ? 'no data' : size(shown.size))
  return typed ? data : `${valueTypeName(shown.type)}: ${data}`
}

/** An entry in one sentence, for screen readers. */
export function entryWords(entry: RegistryChangeView): string {
  const what = entry.value === null ? `key ${entry.key}` : `value ${shownName(entry.value)} of ${entry.key}`
  const before = entry.before ? `, before: ${sideText(entry, 'before')}` : ''
  const after = entry.after ? `, after: ${sideText(entry, 'after')}` : ''
  return `${entry.kind}, ${what}${before}${after}`
}
