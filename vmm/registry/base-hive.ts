import type { FileTimeStamp, HiveKey, RegistryValue } from './hive'
import { UPPER } from './key-names'

/** Marks a key without a class name. */
export const NO_NAME = 0xffffffff
/** Bits of `BaseHiveData.flags`. */
export const LINK_FLAG = 1

/**
 * The arrays of a base hive. Keys are numbered from 0, the root, as a walk of the tree meets them (children in the order
 * of their folded names), so a key and all below it are a range of numbers, and so are their values and their data.
 */
export interface BaseHiveData {
  /** By key: name, class (numbers of names), parent, the number after the last key below it, and what else is known. */
  name: Uint32Array
  className: Uint32Array
  parent: Uint32Array
  end: Uint32Array
  flags: Uint8Array
  written: BigUint64Array
  /** By key, and one more: where its children begin in `child`, its values in those below. */
  childStart: Uint32Array
  child: Uint32Array
  valueStart: Uint32Array
  /** By value: number of its name, type, and bytes; they begin at the even offset 2 * dataStart. */
  valueName: Uint32Array
  valueType: Uint32Array
  dataStart: Uint32Array
  dataLength: Uint32Array
  /** The values of each key in the order of their folded names. */
  valueOrder: Uint32Array
  /** By name, and one more: where it begins in `names`. */
  nameStart: Uint32Array
  names: Uint16Array
  data: Uint8Array
}

/**
 * A hive that never changes, held in a few arrays so that hundreds of thousands of values take little memory and no time
 * to load; many domains share one. Names are found by binary search.
 */
export class BaseHive {
  /** The data as UTF-16 units, for searching. */
  readonly units: Uint16Array
  readonly keyCount: number
  readonly valueCount: number

  /** `id` tells its content from others'. */
  constructor(
    readonly id: string,
    readonly arrays: BaseHiveData,
  ) {
    const { data } = arrays
    this.units = new Uint16Array(data.buffer, data.byteOffset, data.byteLength >> 1)
    this.keyCount = arrays.name.length
    this.valueCount = arrays.valueName.length
  }

  /** What it takes up, bytes. */
  get bytes(): number {
    return (Object.values(this.arrays) as ArrayBufferView[]).reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  name(key: number): string {
    return this.nameAt(this.arrays.name[key]!)
  }

  className(key: number): string | null {
    const at = this.arrays.className[key]!
    return at === NO_NAME ? null : this.nameAt(at)
  }

  written(key: number): FileTimeStamp {
    return this.arrays.written[key]!
  }

  isLink(key: number): boolean {
    return (this.arrays.flags[key]! & LINK_FLAG) !== 0
  }

  childCount(key: number): number {
    return this.arrays.childStart[key + 1]! - this.arrays.childStart[key]!
  }

  /** The number of the key's child at a place of their order. */
  childAt(key: number, place: number): number {
    return this.arrays.child[this.arrays.childStart[key]! + place]!
  }

  /** The child of a folded name, -1 for none. */
  child(key: number, name: string): number {
    const { child, childStart, name: names } = this.arrays
    const [from, to] = [childStart[key]!, childStart[key + 1]!]
    const at = this.#find(from, to, name, (place) => names[child[place]!]!)
    return at === -1 ? -1 : child[at]!
  }

  valuesOf(key: number): { from: number; to: number } {
    return { from: this.arrays.valueStart[key]!, to: this.arrays.valueStart[key + 1]! }
  }

  /** The key's value of a folded name, -1 for none. */
  valueNamed(key: number, name: string): number {
    const { valueOrder, valueName } = this.arrays
    const { from, to } = this.valuesOf(key)
    const at = this.#find(from, to, name, (place) => valueName[valueOrder[place]!]!)
    return at === -1 ? -1 : valueOrder[at]!
  }

  valueName(value: number): string {
    return this.nameAt(this.arrays.valueName[value]!)
  }

  valueType(value: number): number {
    return this.arrays.valueType[value]!
  }

  /** The hive's own bytes, not to be written. */
  data(value: number): Uint8Array {
    const from = this.arrays.dataStart[value]! * 2
    return this.arrays.data.subarray(from, from + this.arrays.dataLength[value]!)
  }

  value(value: number): RegistryValue {
    return { name: this.valueName(value), type: this.valueType(value), data: this.data(value) }
  }

  nameAt(at: number): string {
    const { names, nameStart } = this.arrays
    return String.fromCharCode(...names.subarray(nameStart[at], nameStart[at + 1]))
  }

  /** The key and all below it, for codecs. */
  hiveKey(key = 0): HiveKey {
    return {
      name: this.name(key),
      written: this.written(key),
      className: this.className(key),
      link: this.isLink(key),
      values: { [Symbol.iterator]: () => this.#valuesOf(key) },
      keys: { [Symbol.iterator]: () => this.#keysOf(key) },
    }
  }

  *#valuesOf(key: number): Generator<RegistryValue> {
    const { from, to } = this.valuesOf(key)
    for (let value = from; value < to; value++) yield this.value(value)
  }

  *#keysOf(key: number): Generator<HiveKey> {
    for (let place = 0; place < this.childCount(key); place++) yield this.hiveKey(this.childAt(key, place))
  }

  #find(from: number, to: number, name: string, nameOf: (place: number) => number): number {
    let [low, high] = [from, to - 1]
    while (low <= high) {
      const middle = (low + high) >> 1
      const order = this.#compare(nameOf(middle), name)
      if (order === 0) return middle
      if (order < 0) low = middle + 1
      else high = middle - 1
    }
    return -1
  }

  /** A name of the hive, folded, against a folded name. */
  #compare(at: number, name: string): number {
    const { names, nameStart } = this.arrays
    const [from, to] = [nameStart[at]!, nameStart[at + 1]!]
    const length = Math.min(to - from, name.length)
    for (let unit = 0; unit < length; unit++) {
      const order = UPPER[names[from + unit]!]! - name.charCodeAt(unit)
      if (order !== 0) return order
    }
    return to - from - name.length
  }
}
