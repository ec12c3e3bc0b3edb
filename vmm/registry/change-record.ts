import { VmmError } from '../model/errors'
import type { RegistryChange } from './registry-change'

/** Changes as records of a journal: a JSON head behind its length (32 bits, little endian), then the data of a value. */

/** What a record holds of a value's data at most; more goes into records before it. */
const PART = 512 << 10

/** With `part`, the data goes on in the next record. */
type Head = object

export function* changeRecords(change: RegistryChange): Generator<Uint8Array> {
  if (change.kind !== 'set-value') {
    yield record({ ...change, at: change.at.toString() }, new Uint8Array())
    return
  }
  const { name, type, data } = change.value
  let from = 0
  for (; data.length - from > PART; from += PART) yield record({ part: true }, data.subarray(from, from + PART))
  const { kind, path, at } = change
  yield record({ kind, path, at: at.toString(), name, type }, data.subarray(from))
}

function record(head: Head, data: Uint8Array): Uint8Array {
  const json = Buffer.from(JSON.stringify(head))
  const whole = Buffer.alloc(4 + json.length + data.length)
  whole.writeUInt32LE(json.length)
  whole.set(json, 4)
  whole.set(data, 4 + json.length)
  return whole
}

/** Puts changes together from their records, in order. What is not whole at the end was never committed. */
export class ChangeReader {
  #parts: Uint8Array[] = []

  /** The change that this record completes, or null. Throws `damaged`. */
  read(bytes: Uint8Array): RegistryChange | null {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    try {
      const length = view.readUInt32LE(0)
      const head = JSON.parse(view.toString('utf8', 4, 4 + length)) as Kept | { part: true }
      const data = view.subarray(4 + length)
      if ('part' in head) {
        this.#parts.push(data)
        return null
      }
      const at = BigInt(head.at)
      if (head.kind !== 'set-value') return { ...head, at }
      const whole = new Uint8Array(Buffer.concat([...this.#parts, data]))
      this.#parts = []
      const { kind, path, name, type } = head
      return { kind, path, at, value: { name, type, data: whole } }
    } catch (error) {
      throw new VmmError('damaged', 'The changes of a registry cannot be read.', { cause: error })
    }
  }
}

type Timeless<Change> = Change extends unknown ? Omit<Change, 'at'> & { at: string } : never
type Kept =
  | Timeless<Exclude<RegistryChange, { kind: 'set-value' }>>
  | { kind: 'set-value'; path: string; at: string; name: string; type: number }
