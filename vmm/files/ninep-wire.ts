import { FileError } from './file-error'
import type { FileName } from './provider'

/** The numbers and strings of 9P2000.L messages: little-endian, each string with its length in 16 bits before it. */

export const HEADER_BYTES = 7
const NAME_BYTES = 255
/** Names in one walk. (9P2000, walk(5)) */
export const WALK_MOST = 16
const QID_BYTES = 13
const TWO_32 = 2 ** 32
/** Above this, the upper 32 bits of a number make it more than a double holds exactly. */
const SAFE_HIGH = 0x1fffff

/** What a server calls a file by: its kind, a number that changes with its content, and one that does not. */
export interface Qid {
  kind: number
  version: number
  path: number
}

/** The types of fields, and what they are here. Numbers of 64 bits are cut off at the largest exact one. */
export interface FieldTypes {
  u8: number
  u16: number
  u32: number
  u64: number
  i64: number
  qid: Qid
  /** One step of a path, checked. */
  name: FileName
  /** Bytes of any meaning, one character each. */
  text: string
  names: FileName[]
  qids: Qid[]
  /** With its length in 32 bits before it; a part of the message, not a copy. */
  data: Uint8Array
}
export type FieldType = keyof FieldTypes

/** Refuses what is no name of a file: EINVAL, ENAMETOOLONG. */
export function checkName(name: string): FileName {
  if (name.length > NAME_BYTES) throw new FileError('ENAMETOOLONG')
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw new FileError('EINVAL', 'a name that no file can have')
  }
  return name
}

/** Reads one message from its start; a length beyond its end is refused with EPROTO. */
export class WireReader {
  readonly #view: DataView
  #at = HEADER_BYTES

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  field(type: FieldType): FieldTypes[FieldType] {
    switch (type) {
      case 'u8':
        return this.#view.getUint8(this.#take(1))
      case 'u16':
        return this.#u16()
      case 'u32':
        return this.#u32()
      case 'u64':
        return this.#u64()
      case 'i64':
        return this.#i64()
      case 'qid':
        return this.#qid()
      case 'name':
        return checkName(this.#text())
      case 'text':
        return this.#text()
      case 'names':
        return this.#list(() => checkName(this.#text()))
      case 'qids':
        return this.#list(() => this.#qid())
      case 'data': {
        const length = this.#u32()
        const at = this.#take(length)
        return this.bytes.subarray(at, at + length)
      }
    }
  }

  end(): void {
    if (this.#at !== this.bytes.length) throw new FileError('EPROTO', 'a message with something after its end')
  }

  /** Where the next `bytes` lie. */
  #take(bytes: number): number {
    const at = this.#at
    if (bytes > this.bytes.length - at) throw new FileError('EPROTO', 'a length beyond the message')
    this.#at = at + bytes
    return at
  }

  #u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  #u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  #u64(): number {
    const at = this.#take(8)
    const high = this.#view.getUint32(at + 4, true)
    return high > SAFE_HIGH ? Number.MAX_SAFE_INTEGER : high * TWO_32 + this.#view.getUint32(at, true)
  }

  #i64(): number {
    const at = this.#take(8)
    const high = this.#view.getInt32(at + 4, true)
    if (high > SAFE_HIGH) return Number.MAX_SAFE_INTEGER
    return high < -SAFE_HIGH ? Number.MIN_SAFE_INTEGER : high * TWO_32 + this.#view.getUint32(at, true)
  }

  #qid(): Qid {
    const kind = this.#view.getUint8(this.#take(1))
    return { kind, version: this.#u32(), path: this.#u64() }
  }

  #text(): string {
    const length = this.#u16()
    const at = this.#take(length)
    return latin1(this.bytes, at, at + length)
  }

  #list<T>(read: () => T): T[] {
    const count = this.#u16()
    if (count > WALK_MOST) throw new FileError('EPROTO', 'a walk of more steps than allowed')
    return Array.from({ length: count }, read)
  }
}

/** Writes one message; the room it takes is reckoned first with `bytesOf`. */
export class WireWriter {
  readonly bytes: Buffer
  #at = HEADER_BYTES

  constructor(type: number, tag: number, size: number) {
    this.bytes = Buffer.allocUnsafe(size)
    writeHeader(this.bytes, type, tag)
  }

  field(type: FieldType, value: FieldTypes[FieldType]): void {
    switch (type) {
      case 'u8':
        this.#at = this.bytes.writeUInt8(value as number, this.#at)
        break
      case 'u16':
        this.#at = this.bytes.writeUInt16LE(value as number, this.#at)
        break
      case 'u32':
        this.#u32(value as number)
        break
      case 'u64':
      case 'i64':
        this.#u64(value as number)
        break
      case 'qid':
        this.#at = writeQid(this.bytes, this.#at, value as Qid)
        break
      case 'name':
      case 'text':
        this.#at = writeText(this.bytes, this.#at, value as string)
        break
      case 'names':
      case 'qids':
        this.#list(value as string[] | Qid[])
        break
      case 'data':
        this.#u32((value as Uint8Array).length)
        this.bytes.set(value as Uint8Array, this.#at)
        this.#at += (value as Uint8Array).length
    }
  }

  #u32(value: number): void {
    this.#at = this.bytes.writeUInt32LE(value, this.#at)
  }

  #u64(value: number): void {
    this.#at = writeU64(this.bytes, this.#at, value)
  }

  #list(list: readonly (string | Qid)[]): void {
    this.#at = this.bytes.writeUInt16LE(list.length, this.#at)
    for (const each of list) {
      this.#at = typeof each === 'string' ? writeText(this.bytes, this.#at, each) : writeQid(this.bytes, this.#at, each)
    }
  }
}

export function bytesOf(type: FieldType, value: FieldTypes[FieldType]): number {
  switch (type) {
    case 'u8':
      return 1
    case 'u16':
      return 2
    case 'u32':
      return 4
    case 'u64':
    case 'i64':
      return 8
    case 'qid':
      return QID_BYTES
    case 'name':
    case 'text':
      return 2 + (value as string).length
    case 'names':
      return (value as string[]).reduce((sum, name) => sum + 2 + name.length, 2)
    case 'qids':
      return 2 + QID_BYTES * (value as Qid[]).length
    case 'data':
      return 4 + (value as Uint8Array).length
  }
}

/** The first 7 bytes: size, type and tag. */
export function writeHeader(message: Buffer, type: number, tag: number): void {
  message.writeUInt32LE(message.length, 0)
  message[4] = type
  message.writeUInt16LE(tag, 5)
}

/** Each `write…` tells where it ended. */
export function writeQid(bytes: Buffer, at: number, qid: Qid): number {
  bytes[at] = qid.kind
  bytes.writeUInt32LE(qid.version, at + 1)
  return writeU64(bytes, at + 5, qid.path)
}

export function writeU64(bytes: Buffer, at: number, value: number): number {
  const high = Math.floor(value / TWO_32)
  bytes.writeUInt32LE(value - high * TWO_32, at)
  return bytes.writeUInt32LE(high >>> 0, at + 4)
}

export function writeText(bytes: Buffer, at: number, text: string): number {
  bytes.writeUInt16LE(text.length, at)
  return at + 2 + bytes.write(text, at + 2, 'latin1')
}

function latin1(bytes: Uint8Array, from: number, to: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1')
}
