import { VmmError } from '../model/errors'
import type { BaseHive } from './base-hive'
import { REGISTRY_LIMITS, type FileTimeStamp, type RegistryValue } from './hive'
import { checkKeyName, checkValue, folded } from './key-names'
import type { RegistryChange } from './registry-change'
import { LAYER_LIMITS, LayerKey, LayerUse, MergedKey, type LayerLimits } from './registry-layer'

/** A base hive and the key that its root is seen as, such as `HKLM\SOFTWARE`. */
export interface MountedHive {
  at: string
  hive: BaseHive
}

export const noKey = (names: readonly string[]): VmmError =>
  new VmmError('not-found', `There is no key ${names.join('\\')}.`, { hint: 'Look at the key above it again.' })

/**
 * Base hives at their places and one domain's changes over them. Paths are canonical names here: they begin with HKLM or
 * HKU and go through no symbolic link.
 */
export class LayeredTree {
  readonly root = new LayerKey('', null, -1, true)
  readonly use: LayerUse

  /** `fixed`: keys that are there without any hive, and stay. */
  constructor(
    readonly hives: readonly MountedHive[],
    fixed: readonly string[],
    limits: LayerLimits = LAYER_LIMITS,
  ) {
    this.use = new LayerUse(limits)
    for (const path of ['HKLM', 'HKU', ...fixed]) this.#fix(path.split('\\'), null)
    const byDepth = [...hives].sort((one, other) => one.at.split('\\').length - other.at.split('\\').length)
    for (const { at, hive } of byDepth) this.#fix(at.split('\\'), hive)
  }

  /** As it is now, for comparing: later changes of either are not seen in the other. */
  copy(): LayeredTree {
    const copy = new LayeredTree(this.hives, [], this.use.limits)
    const root = this.root.copy()
    for (const [name, key] of root.keys) copy.root.keys.set(name, key)
    copy.use.bytes = this.use.bytes
    copy.use.entries = this.use.entries
    return copy
  }

  /** The key, or null. */
  find(names: readonly string[]): MergedKey | null {
    let key: MergedKey | null = MergedKey.ofLayer(this.root)
    for (const name of names) {
      key = key.child(folded(name))
      if (!key) return null
    }
    return key
  }

  /** Makes one change. Throws and changes nothing when it is not possible. */
  apply(change: RegistryChange): void {
    const names = change.path.split('\\')
    if (change.path.length > REGISTRY_LIMITS.path) throw longPath()
    switch (change.kind) {
      case 'create-key':
        return this.#create(names, change)
      case 'delete-key':
        return this.#delete(names, change.at)
      case 'move-key':
        return this.#move(names, change.to.split('\\'), change.at)
      case 'set-value':
        return this.#set(names, change.value, change.at)
      case 'delete-value':
        return this.#unset(names, change.name, change.at)
      case 'touch-key':
        this.#own(names).written = change.at
    }
  }

  #create(names: string[], { className, link, at }: { className: string | null; link: boolean; at: bigint }): void {
    const name = names.at(-1)!
    checkKeyName(name)
    if ((className?.length ?? 0) > REGISTRY_LIMITS.className)
      throw new VmmError('invalid', `The class of a key has ${className?.length ?? 0} characters.`, {
        hint: `At most ${REGISTRY_LIMITS.className} are possible.`,
      })
    if (names.length > REGISTRY_LIMITS.depth) throw deepKey()
    if (names.length < 2) throw new VmmError('denied', `${name} cannot be made: roots are what they are.`)
    if (this.find(names)) throw new VmmError('conflict', `The key ${names.join('\\')} is there.`)
    this.use.demand(name.length * 2)
    const above = this.#own(names.slice(0, -1))
    const made = new LayerKey(name, null, -1)
    made.className = className
    made.link = link
    made.written = at
    this.#attach(above, made, at)
  }

  #delete(names: string[], at: FileTimeStamp): void {
    this.#detach(names, at)
  }

  #move(names: string[], to: string[], at: FileTimeStamp): void {
    const moving = this.find(names)
    if (!moving) throw noKey(names)
    if (moving.layer?.fixed) throw fixedKey(names)
    checkKeyName(to.at(-1)!)
    if (to.length < 2) throw new VmmError('denied', 'A key cannot become a root.')
    if (isWithin(to.slice(0, -1), names)) throw new VmmError('invalid', 'A key cannot be moved into itself.')
    const renamed = to.length === names.length && isWithin(to, names)
    const target = this.find(to)
    if (target && !renamed) throw new VmmError('conflict', `The key ${to.join('\\')} is there.`)
    const above = this.find(to.slice(0, -1))
    if (!above) throw noKey(to.slice(0, -1))
    if (above.link) throw new VmmError('invalid', `${to.slice(0, -1).join('\\')} is a symbolic link.`)
    const { depth, length } = extent(moving)
    if (to.length + depth > REGISTRY_LIMITS.depth) throw deepKey()
    if (to.join('\\').length + length > REGISTRY_LIMITS.path) throw longPath()
    this.use.demand(to.at(-1)!.length * 2)
    const old = this.#own(names)
    const moved = old.renamed(to.at(-1)!, at)
    this.#detach(names, at)
    this.use.recount(moved, 1)
    this.#attach(this.#own(to.slice(0, -1)), moved, at)
  }

  #set(names: string[], value: RegistryValue, at: FileTimeStamp): void {
    checkValue(value.name, value.type, value.data.length)
    this.use.demand(value.name.length * 2 + value.data.length)
    const key = this.#own(names)
    const name = folded(value.name)
    const had = MergedKey.ofLayer(key).value(name)
    this.#forget(key, name)
    // a value keeps the case it was first written in, as in Windows
    key.values.set(name, had ? { ...value, name: had.name } : value)
    this.use.add(value.name.length * 2 + value.data.length)
    if (!had) key.valuesMore++
    key.written = at
  }

  #unset(names: string[], valueName: string, at: FileTimeStamp): void {
    const name = folded(valueName)
    const found = this.find(names)
    if (!found) throw noKey(names)
    if (!found.value(name)) throw new VmmError('not-found', `${names.join('\\')} has no value "${valueName}".`)
    const key = this.#own(names)
    this.#forget(key, name)
    if ((key.hive?.valueNamed(key.id, name) ?? -1) === -1) key.values.delete(name)
    else {
      key.values.set(name, null)
      this.use.add(valueName.length * 2)
    }
    key.valuesMore--
    key.written = at
  }

  /** What is noted of a value counts no more. */
  #forget(key: LayerKey, name: string): void {
    const old = key.values.get(name)
    if (old !== undefined) this.use.remove(name.length * 2 + (old?.data.length ?? 0))
  }

  #attach(above: LayerKey, key: LayerKey, at: FileTimeStamp): void {
    const name = folded(key.name)
    if (above.keys.get(name) === null) this.use.remove(name.length * 2)
    above.keys.set(name, key)
    above.insert(name)
    above.written = at
    this.use.add(name.length * 2)
  }

  #detach(names: string[], at: FileTimeStamp): void {
    const found = this.find(names)
    if (!found) throw noKey(names)
    if (found.layer?.fixed) throw fixedKey(names)
    const above = this.#own(names.slice(0, -1))
    const name = folded(names.at(-1)!)
    const own = above.keys.get(name)
    if (own) this.use.recount(own, -1)
    if (own) this.use.remove(name.length * 2)
    if ((above.hive?.child(above.id, name) ?? -1) === -1) above.keys.delete(name)
    else {
      above.keys.set(name, null)
      this.use.add(name.length * 2)
    }
    above.removed(name)
    above.written = at
  }

  /** The domain's own version of a key that is there. */
  #own(names: readonly string[]): LayerKey {
    let own = this.root
    for (const name of names) {
      const fold = folded(name)
      let next = own.keys.get(fold)
      if (next === undefined) {
        const id = own.hive?.child(own.id, fold) ?? -1
        if (id === -1) throw noKey(names)
        next = new LayerKey(own.hive!.name(id), own.hive, id)
        own.keys.set(fold, next)
        this.use.add(fold.length * 2)
      }
      if (!next) throw noKey(names)
      own = next
    }
    return own
  }

  #fix(names: string[], hive: BaseHive | null): void {
    const above = names.slice(0, -1)
    let own = this.root
    for (const name of above) own = own.keys.get(folded(name)) ?? this.#fixOne(own, name, null)
    this.#fixOne(own, names.at(-1)!, hive)
  }

  #fixOne(above: LayerKey, name: string, hive: BaseHive | null): LayerKey {
    const fold = folded(name)
    const old = above.keys.get(fold)
    if (old && !hive) return old
    const id = hive ? 0 : (above.hive?.child(above.id, fold) ?? -1)
    const key = new LayerKey(name, hive ?? (id === -1 ? null : above.hive), id, true)
    for (const [under, child] of old?.keys ?? []) key.keys.set(under, child)
    key.keysMore = [...key.keys.keys()].filter((under) => (key.hive?.child(key.id, under) ?? -1) === -1).length
    above.keys.set(fold, key)
    if (!old && (above.hive?.child(above.id, fold) ?? -1) === -1) above.keysMore++
    above.order = null
    return key
  }
}

const fixedKey = (names: readonly string[]): VmmError =>
  new VmmError('denied', `${names.join('\\')} holds a hive and stays where it is.`, {
    hint: 'Change what is below it.',
  })

/** Whether a path is another or lies below it. */
export const isWithin = (names: readonly string[], above: readonly string[]): boolean =>
  names.length >= above.length && above.every((name, place) => folded(name) === folded(names[place]!))

const deepKey = () => new VmmError('invalid', `Keys lie at most ${REGISTRY_LIMITS.depth} deep.`)

const longPath = () =>
  new VmmError('invalid', `The path of a key has more than ${REGISTRY_LIMITS.path} characters.`, {
    hint: 'Use shorter names.',
  })

/** Levels of keys below, and characters of the longest path there. */
function extent(key: MergedKey): { depth: number; length: number } {
  let [depth, length] = [0, 0]
  for (const child of key.children()) {
    const below = extent(child)
    depth = Math.max(depth, 1 + below.depth)
    length = Math.max(length, 1 + child.name.length + below.length)
  }
  return { depth, length }
}
