import { VmmError } from '../model/errors'
import type { BaseHive } from './base-hive'
import { REG, type RegistryValue } from './hive'
import { folded, UPPER } from './key-names'
import type { MergedKey } from './registry-layer'
import type { Registry } from './registry-tree'

const WORD_MOST = 1000
/** Types whose data is text. */
const TEXT_TYPES: readonly number[] = [REG.SZ, REG.EXPAND_SZ, REG.LINK, REG.MULTI_SZ]

export interface SearchHit {
  /** Canonical path of the key. */
  path: string
  what: 'key' | 'value' | 'data'
  /** Of `value` and `data`: the value's name. */
  name: string
}

/**
 * Looks for a word in names of keys, names of values and text in values, without case, in the order of the tree. It goes
 * on where it stopped, so that the caller decides how long it takes: to give up is to ask no more. What changes
 * meanwhile is seen or not.
 */
export class RegistrySearch {
  readonly #hits: Generator<SearchHit | null, void>
  readonly #scan: Scan

  /** `under`: a key, canonical; '' for all. Throws `invalid`, `not-found`. */
  constructor(registry: Registry, word: string, under = '') {
    if (word === '' || word.length > WORD_MOST)
      throw new VmmError('invalid', `A word to look for has 1 to ${WORD_MOST} characters.`)
    const names = under === '' ? [] : registry.present(under)[0]!.names
    this.#scan = new Scan(folded(word))
    this.#hits = this.#scan.tree(registry.tree.find(names)!, names.join('\\'))
  }

  /** Up to `most` further hits, within about `units` characters looked at; `done` when there is nothing left. */
  next(most: number, units = Infinity): { hits: SearchHit[]; done: boolean } {
    const hits: SearchHit[] = []
    this.#scan.budget = units
    while (hits.length < most && this.#scan.budget > 0) {
      const next = this.#hits.next()
      if (next.done) return { hits, done: true }
      if (next.value) hits.push(next.value)
    }
    return { hits, done: false }
  }
}

class Scan {
  /** Characters that may be looked at before the caller is asked. */
  budget = 0
  readonly #word: Uint16Array
  /** By hive: which of its names have the word. */
  readonly #names = new Map<BaseHive, Uint8Array>()

  constructor(private readonly text: string) {
    this.#word = Uint16Array.from({ length: text.length }, (_, at) => text.charCodeAt(at))
  }

  /** Hits, and null wherever the caller may stop. */
  *tree(key: MergedKey, path: string): Generator<SearchHit | null, void> {
    if (!key.layer) return yield* this.#base(key.hive!, key.id, path)
    if (path !== '' && folded(key.name).includes(this.text)) yield { path, what: 'key', name: '' }
    for (const value of key.values()) {
      const what = this.#inValue(value)
      if (what) yield { path, what, name: value.name }
    }
    yield null
    for (const child of key.children()) yield* this.tree(child, path === '' ? child.name : `${path}\\${child.name}`)
  }

  #inValue({ name, type, data }: RegistryValue): 'value' | 'data' | null {
    this.budget -= name.length + data.length / 2
    if (folded(name).includes(this.text)) return 'value'
    if (!TEXT_TYPES.includes(type)) return null
    return folded(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf16le')).includes(this.text)
      ? 'data'
      : null
  }

  /** A key that nobody changed, and all below it: they lie side by side. */
  *#base(hive: BaseHive, top: number, topPath: string): Generator<SearchHit | null, void> {
    const { name, end, valueStart, valueName, valueType, dataStart, dataLength } = hive.arrays
    const named = this.#namesOf(hive)
    for (let key = top; key < end[top]!; key++) {
      if (named[name[key]!] === 1) yield { path: pathBelow(hive, top, topPath, key), what: 'key', name: '' }
      for (let value = valueStart[key]!; value < valueStart[key + 1]!; value++) {
        const inName = named[valueName[value]!] === 1
        const type = valueType[value]!
        const units = dataLength[value]! >> 1
        this.budget -= units + 1
        if (!inName && (!TEXT_TYPES.includes(type) || !this.#within(hive.units, dataStart[value]!, units))) continue
        const what = inName ? 'value' : 'data'
        yield { path: pathBelow(hive, top, topPath, key), what, name: hive.valueName(value) }
      }
      if (this.budget <= 0) yield null
    }
  }

  #namesOf(hive: BaseHive): Uint8Array {
    const known = this.#names.get(hive)
    if (known) return known
    const { names, nameStart } = hive.arrays
    const named = new Uint8Array(nameStart.length - 1)
    for (let at = 0; at < named.length; at++) {
      const from = nameStart[at]!
      if (this.#within(names, from, nameStart[at + 1]! - from)) named[at] = 1
    }
    this.#names.set(hive, named)
    return named
  }

  #within(units: Uint16Array, from: number, length: number): boolean {
    const word = this.#word
    const first = word[0]!
    const last = from + length - word.length
    for (let at = from; at <= last; at++) {
      if (UPPER[units[at]!] !== first) continue
      let same = 1
      while (same < word.length && UPPER[units[at + same]!] === word[same]) same++
      if (same === word.length) return true
    }
    return false
  }
}

function pathBelow(hive: BaseHive, top: number, topPath: string, key: number): string {
  const names: string[] = []
  for (let at = key; at !== top; at = hive.arrays.parent[at]!) names.unshift(hive.name(at))
  return [topPath, ...names].join('\\')
}
