import { createHash } from 'node:crypto'
import { VmmError } from '../model/errors'
import { BaseHive, LINK_FLAG, NO_NAME, type BaseHiveData } from './base-hive'
import { REGISTRY_LIMITS, type HiveKey, type RegistryValue } from './hive'
import { checkKeyName, checkValue, folded } from './key-names'

/** Makes a base hive of what a codec read. Throws `invalid` beyond the limits, `damaged` for names that are there twice. */
export function buildBaseHive(root: HiveKey): BaseHive {
  const building = new Building()
  building.key(root, 0, 0)
  const arrays = building.arrays()
  const hash = createHash('sha256')
  for (const name of Object.keys(arrays).sort() as (keyof BaseHiveData)[]) {
    const { buffer, byteOffset, byteLength } = arrays[name]
    hash.update(`${name} ${byteLength}\n`).update(new Uint8Array(buffer, byteOffset, byteLength))
  }
  return new BaseHive(hash.digest('hex').slice(0, 32), arrays)
}

class Building {
  readonly #names = new Map<string, number>()
  readonly #name: number[] = []
  readonly #className: number[] = []
  readonly #parent: number[] = []
  readonly #end: number[] = []
  readonly #flags: number[] = []
  readonly #written: bigint[] = []
  readonly #children: number[][] = []
  readonly #valueStart: number[] = []
  readonly #valueName: number[] = []
  readonly #valueType: number[] = []
  readonly #valueOrder: number[] = []
  readonly #data: Uint8Array[] = []

  key(key: HiveKey, parent: number, depth: number): number {
    if (depth > REGISTRY_LIMITS.depth)
      throw new VmmError('invalid', `A hive has keys more than ${REGISTRY_LIMITS.depth} deep.`)
    if (this.#name.length + this.#data.length > REGISTRY_LIMITS.entries)
      throw new VmmError('invalid', `A hive has more than ${REGISTRY_LIMITS.entries} keys and values.`)
    if (depth > 0) checkKeyName(key.name)
    const number = this.#name.push(this.#nameNumber(key.name)) - 1
    this.#className.push(key.className === null ? NO_NAME : this.#nameNumber(key.className))
    this.#parent.push(parent)
    this.#flags.push(key.link ? LINK_FLAG : 0)
    this.#written.push(BigInt.asUintN(64, key.written))
    this.#values(key)
    const children: number[] = []
    this.#children.push(children)
    this.#end.push(0)
    for (const child of sorted(key.keys, key)) children.push(this.key(child, number, depth + 1))
    this.#end[number] = this.#name.length
    return number
  }

  arrays(): BaseHiveData {
    const data = this.#pool()
    const names = this.#namePool()
    const childStart = new Uint32Array(this.#children.length + 1)
    for (const [key, children] of this.#children.entries()) childStart[key + 1] = childStart[key]! + children.length
    const child = new Uint32Array(childStart.at(-1)!)
    for (const [key, children] of this.#children.entries()) child.set(children, childStart[key])
    return {
      name: Uint32Array.from(this.#name),
      className: Uint32Array.from(this.#className),
      parent: Uint32Array.from(this.#parent),
      end: Uint32Array.from(this.#end),
      flags: Uint8Array.from(this.#flags),
      written: BigUint64Array.from(this.#written),
      childStart,
      child,
      valueStart: Uint32Array.from([...this.#valueStart, this.#data.length]),
      valueName: Uint32Array.from(this.#valueName),
      valueType: Uint32Array.from(this.#valueType),
      valueOrder: Uint32Array.from(this.#valueOrder),
      ...data,
      ...names,
    }
  }

  #values(key: HiveKey): void {
    const first = this.#data.length
    this.#valueStart.push(first)
    const numbered: { name: string; number: number }[] = []
    for (const value of key.values) {
      checkValue(value.name, value.type, value.data.length)
      numbered.push({ name: value.name, number: this.#data.length })
      this.#valueName.push(this.#nameNumber(value.name))
      this.#valueType.push(value.type)
      this.#data.push(value.data)
    }
    for (const { number } of sorted(numbered, key)) this.#valueOrder.push(number)
  }

  #nameNumber(name: string): number {
    const known = this.#names.get(name)
    if (known !== undefined) return known
    this.#names.set(name, this.#names.size)
    return this.#names.size - 1
  }

  #pool(): Pick<BaseHiveData, 'data' | 'dataStart' | 'dataLength'> {
    const dataStart = new Uint32Array(this.#data.length)
    const dataLength = Uint32Array.from(this.#data, ({ length }) => length)
    let units = 0
    for (const [value, { length }] of this.#data.entries()) {
      dataStart[value] = units
      units += (length + 1) >> 1
    }
    const data = new Uint8Array(units * 2)
    for (const [value, bytes] of this.#data.entries()) data.set(bytes, dataStart[value]! * 2)
    return { data, dataStart, dataLength }
  }

  #namePool(): Pick<BaseHiveData, 'names' | 'nameStart'> {
    const nameStart = new Uint32Array(this.#names.size + 1)
    let units = 0
    for (const [name, number] of this.#names) {
      nameStart[number] = units
      units += name.length
    }
    nameStart[this.#names.size] = units
    const names = new Uint16Array(units)
    let at = 0
    for (const name of this.#names.keys()) {
      for (let unit = 0; unit < name.length; unit++) names[at++] = name.charCodeAt(unit)
    }
    return { names, nameStart }
  }
}

/** In the order of folded names. */
function sorted<Named extends Pick<RegistryValue, 'name'>>(items: Iterable<Named>, key: HiveKey): Named[] {
  const named = Array.from(items, (item) => ({ item, name: folded(item.name) }))
  named.sort((one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0))
  for (let place = 1; place < named.length; place++) {
    const { item, name } = named[place]!
    if (named[place - 1]!.name === name)
      throw new VmmError('damaged', `The key "${key.name}" has "${item.name}" twice.`, {
        hint: 'The hive cannot be used as it is; load and save it with a tool that repairs hives.',
      })
  }
  return named.map(({ item }) => item)
}
