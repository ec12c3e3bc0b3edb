import { VmmError } from '../model/errors'
import type { BaseHive } from './base-hive'
import type { FileTimeStamp, RegistryValue } from './hive'
import { folded } from './key-names'

/** What a domain may change at most before it is refused, so that a guest cannot fill the host's memory. */
export interface LayerLimits {
  /** Of names and data. */
  bytes: number
  /** Keys and values that differ from the base. */
  entries: number
}
export const LAYER_LIMITS: LayerLimits = { bytes: 256 << 20, entries: 2_000_000 }

/** What an entry takes up besides its name and data, about. */
const ENTRY_BYTES = 200

/** Counts what one domain changed. */
export class LayerUse {
  bytes = 0
  entries = 0

  constructor(public limits: LayerLimits) {}

  /** Refuses what would not fit. */
  demand(bytes: number): void {
    if (this.bytes + bytes + ENTRY_BYTES > this.limits.bytes || this.entries >= this.limits.entries)
      throw new VmmError('disk-full', 'This domain has changed more of its registry than is kept.', {
        hint: 'Discard changes, or take them into a new base.',
        context: { bytes: this.bytes, entries: this.entries },
      })
  }

  add(bytes: number): void {
    this.bytes += bytes + ENTRY_BYTES
    this.entries++
  }

  remove(bytes: number): void {
    this.bytes -= bytes + ENTRY_BYTES
    this.entries--
  }

  /** Counts all that is changed within a key, once more or once less. */
  recount(key: LayerKey, sign: 1 | -1): void {
    const count = (bytes: number) => (sign === 1 ? this.add(bytes) : this.remove(bytes))
    for (const [name, value] of key.values) count(name.length * 2 + (value?.data.length ?? 0))
    for (const [name, child] of key.keys) {
      count(name.length * 2)
      if (child) this.recount(child, sign)
    }
  }
}

/**
 * One key as a domain changed it, over the key of a base hive (`hive`, `id`), or over nothing when the domain made it.
 * Keys that are not changed have no LayerKey: they are the base's.
 */
export class LayerKey {
  /** By folded name; `null` is deleted. */
  readonly values = new Map<string, RegistryValue | null>()
  readonly keys = new Map<string, LayerKey | null>()
  written: FileTimeStamp | null = null
  className: string | null = null
  link = false
  /** Children's names in order; null when it must be made anew. */
  order: string[] | null = null
  /** Keys and values here that the base does not have, less those of the base that are deleted here. */
  keysMore = 0
  valuesMore = 0

  constructor(
    readonly name: string,
    readonly hive: BaseHive | null,
    readonly id: number,
    /** Stands for a place that hives lie at: is no change, and cannot be deleted. */
    readonly fixed = false,
  ) {
    if (!hive) return
    this.className = hive.className(id)
    this.link = hive.isLink(id)
  }

  /** An exact copy that changes no more with this one. */
  copy(): LayerKey {
    const copy = this.#shell(this.name, this.fixed)
    copy.written = this.written
    for (const [name, value] of this.values) copy.values.set(name, value)
    for (const [name, key] of this.keys) copy.keys.set(name, key?.copy() ?? null)
    return copy
  }

  /** The same key under another name; this one is not to be used any more. */
  renamed(name: string, at: FileTimeStamp): LayerKey {
    const renamed = this.#shell(name, false)
    renamed.written = this.written ?? this.hive?.written(this.id) ?? at
    for (const [valueName, value] of this.values) renamed.values.set(valueName, value)
    for (const [keyName, key] of this.keys) renamed.keys.set(keyName, key)
    return renamed
  }

  #shell(name: string, fixed: boolean): LayerKey {
    const shell = new LayerKey(name, this.hive, this.id, fixed)
    shell.className = this.className
    shell.link = this.link
    shell.keysMore = this.keysMore
    shell.valuesMore = this.valuesMore
    return shell
  }

  /** A child that was not there before. */
  insert(name: string): void {
    this.keysMore++
    if (this.order) this.order.splice(place(this.order, name), 0, name)
  }

  removed(name: string): void {
    this.keysMore--
    if (this.order) this.order.splice(place(this.order, name), 1)
  }
}

/** A key as a domain sees it. Valid until the registry is changed. */
export class MergedKey {
  constructor(
    readonly layer: LayerKey | null,
    readonly hive: BaseHive | null,
    readonly id: number,
  ) {}

  static ofLayer(layer: LayerKey): MergedKey {
    return new MergedKey(layer, layer.hive, layer.id)
  }

  get name(): string {
    return this.layer?.name ?? this.hive!.name(this.id)
  }

  get written(): FileTimeStamp {
    return this.layer?.written ?? this.hive?.written(this.id) ?? 0n
  }

  get className(): string | null {
    return this.layer ? this.layer.className : this.hive!.className(this.id)
  }

  get link(): boolean {
    return this.layer ? this.layer.link : this.hive!.isLink(this.id)
  }

  get keyCount(): number {
    return (this.hive?.childCount(this.id) ?? 0) + (this.layer?.keysMore ?? 0)
  }

  get valueCount(): number {
    return this.#baseValues() + (this.layer?.valuesMore ?? 0)
  }

  /** The child of a folded name. */
  child(name: string): MergedKey | null {
    const changed = this.layer?.keys.get(name)
    if (changed !== undefined) return changed && MergedKey.ofLayer(changed)
    const id = this.hive?.child(this.id, name) ?? -1
    return id === -1 ? null : new MergedKey(null, this.hive, id)
  }

  /** The value of a folded name. */
  value(name: string): RegistryValue | null {
    const changed = this.layer?.values.get(name)
    if (changed !== undefined) return changed
    const value = this.hive?.valueNamed(this.id, name) ?? -1
    return value === -1 ? null : this.hive!.value(value)
  }

  /** Children in the order of their folded names, from `offset`, at most `limit`. */
  *children(offset = 0, limit = Infinity): Generator<MergedKey, void> {
    if (this.layer && this.layer.keys.size > 0) {
      const order = this.#order(this.layer)
      for (let place = offset; place < order.length && place - offset < limit; place++) {
        const child = this.child(order[place]!)
        if (child) yield child
      }
      return
    }
    const count = this.hive?.childCount(this.id) ?? 0
    for (let place = offset; place < count && place - offset < limit; place++)
      yield new MergedKey(null, this.hive, this.hive!.childAt(this.id, place))
  }

  /** Values: the base's in its order, then those that are new, from `offset`, at most `limit`. */
  *values(offset = 0, limit = Infinity): Generator<RegistryValue> {
    if (this.layer && this.layer.values.size > 0) {
      let place = 0
      for (const value of this.#changedValues(this.layer)) {
        if (place - offset >= limit) return
        if (place++ >= offset) yield value
      }
    } else if (this.hive) {
      const { from, to } = this.hive.valuesOf(this.id)
      const end = Math.min(to, from + offset + limit)
      for (let value = from + offset; value < end; value++) yield this.hive.value(value)
    }
  }

  *#changedValues(layer: LayerKey): Generator<RegistryValue> {
    const { from, to } = this.hive?.valuesOf(this.id) ?? { from: 0, to: 0 }
    for (let at = from; at < to; at++) {
      const now = layer.values.get(folded(this.hive!.valueName(at)))
      if (now === undefined) yield this.hive!.value(at)
      else if (now) yield now
    }
    for (const [name, value] of layer.values) {
      if (value && (this.hive?.valueNamed(this.id, name) ?? -1) === -1) yield value
    }
  }

  #baseValues(): number {
    if (!this.hive) return 0
    const { from, to } = this.hive.valuesOf(this.id)
    return to - from
  }

  #order(layer: LayerKey): string[] {
    if (layer.order) return layer.order
    const names = new Set<string>()
    for (let place = 0; place < (this.hive?.childCount(this.id) ?? 0); place++)
      names.add(folded(this.hive!.name(this.hive!.childAt(this.id, place))))
    for (const [name, key] of layer.keys) {
      if (key) names.add(name)
      else names.delete(name)
    }
    return (layer.order = [...names].sort((one, other) => (one < other ? -1 : 1)))
  }
}

/** Where a name is, or belongs, in a sorted list. */
function place(order: readonly string[], name: string): number {
  let [low, high] = [0, order.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (order[middle]! < name) low = middle + 1
    else high = middle
  }
  return low
}
