import { existsSync } from 'node:fs'
import path from 'node:path'
import { VmmError } from '../model/errors'
import { Journal } from '../sealed/journal'
import type { StoreKey } from '../sealed/store-key'
import { BaseHive, type BaseHiveData } from './base-hive'

/** Bytes of one record. */
const PART = 960 << 10
const ID = /^[0-9a-f]{32}$/

const ARRAYS = {
  name: Uint32Array,
  className: Uint32Array,
  parent: Uint32Array,
  end: Uint32Array,
  flags: Uint8Array,
  written: BigUint64Array,
  childStart: Uint32Array,
  child: Uint32Array,
  valueStart: Uint32Array,
  valueName: Uint32Array,
  valueType: Uint32Array,
  dataStart: Uint32Array,
  dataLength: Uint32Array,
  valueOrder: Uint32Array,
  nameStart: Uint32Array,
  names: Uint16Array,
  data: Uint8Array,
} as const
const NAMES = Object.keys(ARRAYS) as (keyof BaseHiveData)[]

/**
 * The base hives of a folder, each in a sealed file of its own: the arrays of a BaseHive as they are in memory, so that
 * loading is reading. Those in use are in memory once, however many domains see them.
 */
export class BaseHives {
  readonly #loaded = new Map<string, WeakRef<BaseHive>>()

  constructor(
    private readonly folder: string,
    private readonly key: StoreKey,
  ) {}

  /** Keeps a hive; it is on the disk when this returns. */
  add(hive: BaseHive): void {
    this.#loaded.set(hive.id, new WeakRef(hive))
    const file = this.#file(hive.id)
    let records = 0
    const journal = Journal.open(file, this.key, () => records++)
    try {
      if (records === 0) journal.compact(partsOf(hive))
    } finally {
      journal.close()
    }
  }

  /** Throws `not-found`, `damaged`. */
  get(id: string): BaseHive {
    const loaded = this.#loaded.get(id)?.deref()
    if (loaded) return loaded
    const file = ID.test(id) ? this.#file(id) : ''
    if (file === '' || !existsSync(file))
      throw new VmmError('not-found', `The hive ${id.slice(0, 40)} of a registry is missing.`, {
        hint: 'Import it again.',
        context: { folder: this.folder },
      })
    const parts: Uint8Array[] = []
    Journal.open(file, this.key, (record) => parts.push(record)).close()
    const hive = joined(id, parts, file)
    this.#loaded.set(id, new WeakRef(hive))
    return hive
  }

  #file(id: string): string {
    return path.join(this.folder, `${id}.hive`)
  }
}

/** First the lengths of the arrays, 64 bits each, then their bytes, each array filled up to 8. */
function* partsOf({ arrays }: BaseHive): Generator<Uint8Array> {
  yield new Uint8Array(BigUint64Array.from(NAMES, (name) => BigInt(arrays[name].byteLength)).buffer)
  for (const name of NAMES) {
    const { buffer, byteOffset, byteLength } = arrays[name]
    for (let from = 0; from < byteLength; from += PART)
      yield new Uint8Array(buffer, byteOffset + from, Math.min(PART, byteLength - from))
    if (byteLength % 8 !== 0) yield new Uint8Array(8 - (byteLength % 8))
  }
}

function joined(id: string, [head, ...parts]: Uint8Array[], file: string): BaseHive {
  const wrong = () =>
    new VmmError('damaged', `The hive of a registry is not whole (${file}).`, { hint: 'Import it again.' })
  if (head?.byteLength !== NAMES.length * 8) throw wrong()
  const lengths = Array.from(new BigUint64Array(new Uint8Array(head).buffer), Number)
  const whole = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let end = 0
  for (const part of parts) {
    whole.set(part, end)
    end += part.byteLength
  }
  let at = 0
  const arrays = NAMES.map((name, place) => {
    const length = lengths[place]!
    if (at + length > end) throw wrong()
    const bytes = ARRAYS[name].BYTES_PER_ELEMENT
    const array = new ARRAYS[name](whole.buffer, at, Math.floor(length / bytes))
    at += Math.ceil(length / 8) * 8
    return [name, array] as const
  })
  return new BaseHive(id, Object.fromEntries<unknown>(arrays) as unknown as BaseHiveData)
}
