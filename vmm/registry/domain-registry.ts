import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { VmmError } from '../model/errors'
import type { RegistryRule } from '../model/policy-registry'
import type { WinePrefix } from '../model/registry'
import type { Provider } from '../files/provider'
import { StoreKey } from '../sealed/store-key'
import { BaseHives } from './base-hives'
import { msOfStamp } from './hive'
import { folded } from './key-names'
import { changesOf, diffRegistries, type RegistryDifference } from './registry-diff'
import type {
  DiffEntry,
  ImportedHive,
  ListedKey,
  RegistryCalls,
  RegistryConfig,
  RegistryDiff,
  SearchAnswer,
  SearchQuestion,
  Since,
} from './registry-calls'
import { importChanges } from './registry-import'
import { readRegistryFile, writeBranch, writeDiff } from './registry-files'
import { RegistryRules, type RegistryVerdict } from './registry-rules'
import { RegistryProvider } from './registry-provider'
import { RuledRegistry, type RegistryNote } from './ruled-registry'
import { RegistrySearch } from './registry-search'
import { RegistryStore, type RegistryBase } from './registry-store'
import { Registry } from './registry-tree'
import { valueText } from './value-text'
import { WINE_USER, type WineFiles } from './wine-prefix'
import { WinePrefixes } from './wine-prefixes'

const STORE = 'registry'
/** Searches that can be gone on with. */
const SEARCHES_MOST = 8
/** Characters that one call looks at. */
const SEARCH_UNITS = 50_000_000

interface Surroundings {
  /** The registry of another domain that is open. */
  other(domainId: string): Registry
  /** The files of a Wine prefix in one of the domain's shares. */
  readPrefix(place: WinePrefix): WineFiles
  writePrefix(place: WinePrefix, files: WineFiles): void
}

/** The registry of one domain, open. */
export class DomainRegistry implements RegistryCalls {
  readonly store: RegistryStore
  readonly #bases: BaseHives
  readonly #key: StoreKey
  readonly #prefixes: WinePrefixes
  readonly #searches = new Map<string, RegistrySearch>()
  #tree: { registry: Registry; ruled: RuledRegistry; provider: Provider } | null = null

  constructor(
    config: RegistryConfig,
    key: Uint8Array | null,
    private readonly around: Surroundings,
  ) {
    mkdirSync(config.folder, { recursive: true, mode: 0o700 })
    mkdirSync(config.hivesFolder, { recursive: true, mode: 0o700 })
    this.#key = StoreKey.of(key, STORE)
    this.#bases = new BaseHives(config.hivesFolder, this.#key)
    this.store = RegistryStore.open({ folder: config.folder, key: this.#key, bases: this.#bases, base: baseOf(config) })
    this.#prefixes = new WinePrefixes({
      ...{ folder: config.folder, key: this.#key, bases: this.#bases, store: this.store },
      read: (place) => around.readPrefix(place),
      write: (place, files) => around.writePrefix(place, files),
    })
    this.stand(config)
  }

  get registry(): Registry {
    return this.store.registry
  }

  /**
   * The registry as a tree of files, as rules let a guest see it; another one whenever what it shows is. Rules that are
   * told later hold at once.
   */
  tree(rules: readonly RegistryRule[], once: readonly RegistryRule[], note: (note: RegistryNote) => void): Provider {
    const compiled = new RegistryRules(rules, once)
    if (this.#tree?.registry === this.registry) {
      this.#tree.ruled.setRules(compiled)
      return this.#tree.provider
    }
    const ruled = new RuledRegistry(this.registry, compiled, note)
    const provider = new RegistryProvider(ruled, () => this.store.commit())
    this.#tree = { registry: this.registry, ruled, provider }
    return provider
  }

  /** Other base hives below the domain's changes, which stay as far as they still say anything. */
  stand(config: RegistryConfig): void {
    const base = baseOf(config)
    if (JSON.stringify(base) === JSON.stringify(this.store.base)) return
    const own = changesOf(this.#differences({ base: true }), this.registry.now())
    this.store.rebase(base)
    for (const change of own) {
      try {
        this.registry.change(change)
      } catch (error) {
        if (!(error instanceof VmmError)) throw error // what it changed is not below it any more
      }
    }
  }

  async close(): Promise<void> {
    await this.store.commit()
    this.store.close()
  }

  count(): number {
    return this.#differences({ base: true }).length
  }

  list(path: string, offset: number, limit: number): ListedKey {
    if (path === '') return top()
    const { registry } = this
    const info = registry.key(path)
    const layers = registry.present(path).flatMap(({ key }) => key.layer ?? [])
    const subkeys = registry.keys(path, offset, limit)
    const values = registry.values(path, offset, limit)
    return {
      key: path,
      canonical: folded(info.path) === folded(path) ? '' : info.path,
      subkeys: subkeys.items.map(({ name, keys }) => ({
        name,
        hasSubkeys: keys > 0,
        own: layers.some((layer) => layer.keys.has(folded(name))),
      })),
      subkeyTotal: subkeys.total,
      values: values.items.map(({ name, type, data }) => ({
        name,
        type,
        text: valueText(type, data),
        size: data.byteLength,
        own: layers.some((layer) => layer.values.has(folded(name))),
      })),
      valueTotal: values.total,
      writtenAt: info.written === 0n ? null : msOfStamp(info.written),
    }
  }

  value(path: string, name: string, offset: number, limit: number) {
    const value = this.#value(path, name)
    const bytes = new Uint8Array(value.data.subarray(offset, offset + limit))
    return { type: value.type, size: value.data.byteLength, bytes }
  }

  setValue(path: string, name: string, type: number, data: Uint8Array): Promise<void> {
    this.registry.setValue(path, { name, type, data: new Uint8Array(data) })
    return this.store.commit()
  }

  deleteValue(path: string, name: string): Promise<void> {
    this.registry.deleteValue(path, name)
    return this.store.commit()
  }

  renameValue(path: string, name: string, to: string): Promise<void> {
    const value = this.#value(path, name)
    if (folded(name) !== folded(to) && this.registry.value(path, to)) {
      throw new VmmError('conflict', `The key has a value called ${to} already.`, { hint: 'Choose another name.' })
    }
    this.registry.deleteValue(path, name)
    this.registry.setValue(path, { ...value, name: to })
    return this.store.commit()
  }

  createKey(path: string): Promise<void> {
    if (!this.registry.createKey(path)) {
      throw new VmmError('conflict', 'There is such a key already.', { hint: 'Choose another name.' })
    }
    return this.store.commit()
  }

  deleteKey(path: string): Promise<void> {
    this.registry.deleteKey(path, true)
    return this.store.commit()
  }

  renameKey(path: string, to: string): Promise<void> {
    this.registry.moveKey(path, [...path.split('\\').slice(0, -1), to].join('\\'))
    return this.store.commit()
  }

  search({ text, under, keys, names, data, after, limit }: SearchQuestion): SearchAnswer {
    const search = this.#searches.get(after) ?? new RegistrySearch(this.registry, text, under)
    this.#searches.delete(after)
    const wanted = { key: keys, value: names, data }
    const hits: SearchAnswer['hits'] = []
    let done = false
    while (hits.length < limit && !done) {
      const found = search.next(limit - hits.length, SEARCH_UNITS)
      done = found.done
      for (const { path, what, name } of found.hits) {
        if (!wanted[what]) continue
        const value = what === 'key' ? null : this.registry.value(path, name)
        hits.push({ key: path, value: value && name, text: value ? valueText(value.type, value.data) : '' })
      }
    }
    return { hits, next: done ? '' : this.#keep(search) }
  }

  diff(since: Since, offset: number, limit: number): RegistryDiff {
    const differences = this.#differences(since)
    const counts = { added: 0, changed: 0, deleted: 0 }
    for (const { kind } of differences) counts[kindOf(kind)]++
    const entries = differences.slice(offset, offset + limit).map(entryOf)
    return { entries, total: differences.length, ...counts }
  }

  revert(since: Since, entries: readonly { key: string; value: string | null }[]): Promise<void> {
    const before = this.#since(since)
    const back = diffRegistries(this.registry, before).differences
    const chosen =
      entries.length === 0 ? back : back.filter((difference) => entries.some((entry) => isOf(difference, entry)))
    for (const change of changesOf(chosen, this.registry.now())) this.registry.change(change)
    return this.store.commit()
  }

  exportTo(what: { branch: string } | { since: Since }, format: 'reg' | 'regf', path: string): void {
    if ('branch' in what) writeBranch(this.registry, what.branch, format, path)
    else writeDiff(changesOf(this.#differences(what.since), this.registry.now()), path)
  }

  async importChanges(path: string, key: string): Promise<number> {
    const count = importChanges(this.registry, readRegistryFile(path, key).changes())
    await this.store.commit()
    return count
  }

  importHives(path: string, key: string): ImportedHive[] {
    const read = readRegistryFile(path, key)
    return read.hives().map(({ at, hive }) => {
      this.#bases.add(hive)
      const { id, keyCount, valueCount, bytes } = hive
      return { id, at, source: read.source, keys: keyCount, values: valueCount, bytes }
    })
  }

  explain(key: string, rules: readonly RegistryRule[], once: readonly RegistryRule[]): RegistryVerdict {
    return new RuledRegistry(this.registry, new RegistryRules(rules, once)).explain(key)
  }

  writePrefix(place: WinePrefix): Promise<void> {
    return this.#prefixes.write(place)
  }

  takePrefix(place: WinePrefix, live: boolean): Promise<number> {
    return this.#prefixes.take(place, live)
  }

  #value(path: string, name: string) {
    const value = this.registry.value(path, name)
    if (value) return value
    throw new VmmError('not-found', 'The key has no such value.', { hint: 'It may have been deleted.' })
  }

  #differences(since: Since): RegistryDifference[] {
    return diffRegistries(this.#since(since), this.registry).differences
  }

  #since(since: Since): Registry {
    if ('domainId' in since) return this.around.other(since.domainId)
    if ('folder' in since) return RegistryStore.readSnapshot(since.folder, this.#key, this.#bases)
    const { hives, user } = this.store.base
    return new Registry({ hives: hives.map(({ at, id }) => ({ at, hive: this.#bases.get(id) })), user })
  }

  /** So that it can be gone on with, unless too many others come first. */
  #keep(search: RegistrySearch): string {
    const token = randomUUID()
    this.#searches.set(token, search)
    for (const oldest of [...this.#searches.keys()].slice(0, -SEARCHES_MOST)) this.#searches.delete(oldest)
    return token
  }
}

function baseOf({ hives }: RegistryConfig): RegistryBase {
  return { hives: hives.map(({ at, id }) => ({ at, id })), user: WINE_USER }
}

/** What is above all keys. */
function top(): ListedKey {
  const subkeys = ['HKCR', 'HKCU', 'HKLM', 'HKU'].map((name) => ({ name, hasSubkeys: true, own: false }))
  return { key: '', canonical: '', subkeys, subkeyTotal: 4, values: [], valueTotal: 0, writtenAt: null }
}

function kindOf(kind: RegistryDifference['kind']): DiffEntry['kind'] {
  if (kind === 'key-added' || kind === 'value-added') return 'added'
  return kind === 'key-deleted' || kind === 'value-deleted' ? 'deleted' : 'changed'
}

function entryOf(difference: RegistryDifference): DiffEntry {
  const before = 'before' in difference && typeof difference.before === 'object' ? difference.before : null
  const after = 'after' in difference && typeof difference.after === 'object' ? difference.after : null
  const side = (value: typeof before) =>
    value && { type: value.type, text: valueText(value.type, value.data), size: value.data.byteLength }
  const value = before?.name ?? after?.name ?? null
  return { kind: kindOf(difference.kind), key: difference.path, value, before: side(before), after: side(after) }
}

function isOf(difference: RegistryDifference, { key, value }: { key: string; value: string | null }): boolean {
  const of = entryOf(difference)
  if (value === null) return folded(of.key) === folded(key) || folded(of.key).startsWith(`${folded(key)}\\`)
  return folded(of.key) === folded(key) && of.value !== null && folded(of.value) === folded(value)
}
