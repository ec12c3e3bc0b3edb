import { VmmError } from '../model/errors'
import { stampOfMs, type FileTimeStamp, type RegistryValue } from './hive'
import { folded } from './key-names'
import { LayeredTree, noKey, type MountedHive } from './layered-tree'
import type { RegistryChange } from './registry-change'
import { MergedKey, type LayerLimits } from './registry-layer'
import { canonicalPlaces, LINK_VALUE, linkTarget, parseKeyPath } from './registry-path'
import type { KeyInfo, KeyListing, Page, RegistryView } from './registry-view'

/** Symbolic links on one path. */
const LINKS_MOST = 32

export interface RegistryOptions {
  hives: readonly MountedHive[]
  /** The key of HKU that is HKCU, such as 'S-1-5-21-0-0-0-1000'. */
  user: string
  limits?: LayerLimits
  /** Told of every change, canonical, after it was made. */
  onChange?: (change: RegistryChange) => void
  now?: () => FileTimeStamp
}

/** Where a path leads. */
export interface Place {
  /** Canonical. */
  names: string[]
  key: MergedKey | null
  /** The path as it was asked for with aliases replaced, and again after every symbolic link; the last is `names`. */
  via: string[][]
}

/**
 * The registry of one domain: its hives, its changes over them, and the views that are no keys of their own: HKCU is a key
 * of HKU; HKCR shows the user's classes over the machine's. In HKCR a value or key is changed where the key is: the
 * user's when it has the key, else the machine's; new keys are made where the key above is.
 */
export class Registry implements RegistryView {
  readonly user: string

  constructor(
    private readonly options: RegistryOptions,
    readonly tree = new LayeredTree(options.hives, [`HKU\\${options.user}`, 'HKU\\.DEFAULT'], options.limits),
  ) {
    this.user = options.user
  }

  /** As it is now; changes of either are not seen in the other, and those of the copy not told to anybody. */
  copy(): Registry {
    return new Registry({ ...this.options, onChange: () => undefined }, this.tree.copy())
  }

  key(path: string, itself = false): KeyInfo {
    const places = this.present(path, itself)
    const { names, key } = places[0]!
    const merged = places.length === 1 ? null : mergedLists(places.map((place) => place.key))
    return {
      ...listing(key),
      path: names.join('\\'),
      ...(merged ? { keys: merged.keys.length, values: merged.values.length } : {}),
    }
  }

  keys(path: string, offset: number, limit: number): Page<KeyListing> {
    const places = this.present(path)
    if (places.length > 1) {
      const { keys } = mergedLists(places.map(({ key }) => key))
      return { total: keys.length, items: keys.slice(offset, offset + limit).map(listing) }
    }
    const { key } = places[0]!
    return { total: key.keyCount, items: Array.from(key.children(offset, limit), listing) }
  }

  values(path: string, offset: number, limit: number): Page<RegistryValue> {
    const places = this.present(path)
    if (places.length > 1) {
      const { values } = mergedLists(places.map(({ key }) => key))
      return { total: values.length, items: values.slice(offset, offset + limit) }
    }
    const { key } = places[0]!
    return { total: key.valueCount, items: [...key.values(offset, limit)] }
  }

  value(path: string, name: string, itself = false): RegistryValue | null {
    const fold = folded(name)
    for (const { key } of this.present(path, itself)) {
      const value = key.value(fold)
      if (value) return value
    }
    return null
  }

  setValue(path: string, value: RegistryValue): void {
    const { names } = this.present(path)[0]!
    this.change({ kind: 'set-value', path: names.join('\\'), value, at: this.now() })
  }

  deleteValue(path: string, name: string): void {
    const places = this.present(path)
    const place = places.find(({ key }) => key.value(folded(name))) ?? places[0]!
    this.change({ kind: 'delete-value', path: place.names.join('\\'), name, at: this.now() })
  }

  createKey(path: string, className: string | null = null): boolean {
    const { names, key } = this.placeForNew(path)
    if (key) return false
    let there = names.length
    while (there > 0 && !this.tree.find(names.slice(0, there))) there--
    while (there++ < names.length) {
      const made = names.slice(0, there).join('\\')
      const ofLast = there === names.length ? className : null
      this.change({ kind: 'create-key', path: made, className: ofLast, link: false, at: this.now() })
    }
    return true
  }

  deleteKey(path: string, tree: boolean): void {
    const { names, key } = this.present(path, true)[0]!
    if (!tree && key.keyCount > 0)
      throw new VmmError('conflict', `${names.join('\\')} has keys below it.`, { hint: 'Delete them first.' })
    this.change({ kind: 'delete-key', path: names.join('\\'), at: this.now() })
  }

  moveKey(path: string, to: string): void {
    const { names } = this.present(path, true)[0]!
    const target = this.placeForNew(to)
    this.change({ kind: 'move-key', path: names.join('\\'), to: target.names.join('\\'), at: this.now() })
  }

  /** Makes a change whose paths are canonical, and tells of it. */
  change(change: RegistryChange): void {
    this.tree.apply(change)
    this.options.onChange?.(change)
  }

  now(): FileTimeStamp {
    return this.options.now?.() ?? stampOfMs(Date.now())
  }

  /** Everything that a path stands for, whether it is there or not; more than one only in HKCR, the user's first. */
  places(path: string, itself = false): Place[] {
    return canonicalPlaces(parseKeyPath(path), this.user).map((names) => this.#follow(names, itself))
  }

  /** Those that are there. Throws `not-found` when none is. */
  present(path: string, itself = false): (Place & { key: MergedKey })[] {
    const there = this.places(path, itself).filter((place): place is Place & { key: MergedKey } => place.key !== null)
    if (there.length === 0) throw noKey([path.slice(0, 1000)])
    return there
  }

  /** Where a key would be made: in HKCR beside the key above it, the machine's when neither has that. */
  placeForNew(path: string): Place {
    const places = this.places(path, true)
    const there = places.find(({ key }) => key)
    if (there) return there
    const above = places.length > 1 ? places.find(({ names }) => names.length > 4 && this.#above(names)) : undefined
    return above ?? places.at(-1)!
  }

  #above(names: string[]): boolean {
    return this.tree.find(names.slice(0, -1)) !== null
  }

  #follow(asked: string[], itself: boolean): Place {
    let names = asked
    const via = [asked]
    for (let links = 0; links <= LINKS_MOST; links++) {
      const step = this.#walk(names, itself)
      if (!('to' in step)) return { names: step.names, key: step.key, via }
      if (!step.to) return { names, key: null, via }
      names = step.to
      via.push(names)
    }
    return { names, key: null, via }
  }

  /** To the key, or to where the first symbolic link on the way leads. */
  #walk(names: string[], itself: boolean): { names: string[]; key: MergedKey | null } | { to: string[] | null } {
    let key = MergedKey.ofLayer(this.tree.root)
    for (const [place, name] of names.entries()) {
      const child = key.child(folded(name))
      if (!child) return { names, key: null }
      key = child
      if (!key.link || (itself && place === names.length - 1)) continue
      const target = linkTarget(key.value(LINK_VALUE))
      return { to: target && [...target, ...names.slice(place + 1)] }
    }
    return { names, key }
  }
}

function listing(key: MergedKey): KeyListing {
  const { name, written, className, link, keyCount, valueCount } = key
  return { name, written, className, link, keys: keyCount, values: valueCount }
}

/** What several keys that are seen as one have: of the same name the first's. */
function mergedLists(merged: MergedKey[]): { keys: MergedKey[]; values: RegistryValue[] } {
  const keys = new Map<string, MergedKey>()
  const values = new Map<string, RegistryValue>()
  for (const key of merged) {
    for (const child of key.children()) if (!keys.has(folded(child.name))) keys.set(folded(child.name), child)
    for (const value of key.values()) if (!values.has(folded(value.name))) values.set(folded(value.name), value)
  }
  const order = [...keys.keys()].sort((one, other) => (one < other ? -1 : 1))
  return { keys: order.map((name) => keys.get(name)!), values: [...values.values()] }
}
