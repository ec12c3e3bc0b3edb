import { FileError } from './file-error'
import {
  bytesOf,
  HEADER_BYTES,
  WireReader,
  WireWriter,
  writeHeader,
  type FieldType,
  type FieldTypes,
} from './ninep-wire'

/**
 * The messages of 9P2000.L: their numbers and fields, in the order of the wire. Linux's include/net/9p/9p.h has the
 * numbers, diod's protocol.md the fields.
 */
const ATTRIBUTES = {
  valid: 'u64',
  qid: 'qid',
  mode: 'u32',
  uid: 'u32',
  gid: 'u32',
  links: 'u64',
  device: 'u64',
  size: 'u64',
  blockSize: 'u64',
  blocks: 'u64',
  accessedSec: 'i64',
  accessedNsec: 'u64',
  modifiedSec: 'i64',
  modifiedNsec: 'u64',
  changedSec: 'i64',
  changedNsec: 'u64',
  bornSec: 'i64',
  bornNsec: 'u64',
  generation: 'u64',
  dataVersion: 'u64',
} as const
const CHANGES = {
  fid: 'u32',
  valid: 'u32',
  mode: 'u32',
  uid: 'u32',
  gid: 'u32',
  size: 'u64',
  accessedSec: 'i64',
  accessedNsec: 'u64',
  modifiedSec: 'i64',
  modifiedNsec: 'u64',
} as const
const SPACE = {
  type: 'u32',
  blockSize: 'u32',
  blocks: 'u64',
  blocksFree: 'u64',
  blocksAvailable: 'u64',
  files: 'u64',
  filesFree: 'u64',
  fsid: 'u64',
  nameLength: 'u32',
} as const
const MADE = { qid: 'qid' } as const
const OPENED = { qid: 'qid', ioUnit: 'u32' } as const

export const MESSAGES = {
  Rlerror: [7, { errno: 'u32' }],
  Tstatfs: [8, { fid: 'u32' }],
  Rstatfs: [9, SPACE],
  Tlopen: [12, { fid: 'u32', flags: 'u32' }],
  Rlopen: [13, OPENED],
  Tlcreate: [14, { fid: 'u32', name: 'name', flags: 'u32', mode: 'u32', gid: 'u32' }],
  Rlcreate: [15, OPENED],
  Tsymlink: [16, { fid: 'u32', name: 'name', target: 'text', gid: 'u32' }],
  Rsymlink: [17, MADE],
  Tmknod: [18, { fid: 'u32', name: 'name', mode: 'u32', major: 'u32', minor: 'u32', gid: 'u32' }],
  Rmknod: [19, MADE],
  Trename: [20, { fid: 'u32', toFid: 'u32', name: 'name' }],
  Rrename: [21, {}],
  Treadlink: [22, { fid: 'u32' }],
  Rreadlink: [23, { target: 'text' }],
  Tgetattr: [24, { fid: 'u32', mask: 'u64' }],
  Rgetattr: [25, ATTRIBUTES],
  Tsetattr: [26, CHANGES],
  Rsetattr: [27, {}],
  Txattrwalk: [30, { fid: 'u32', newFid: 'u32', name: 'text' }],
  Rxattrwalk: [31, { size: 'u64' }],
  Txattrcreate: [32, { fid: 'u32', name: 'text', size: 'u64', flags: 'u32' }],
  Rxattrcreate: [33, {}],
  Treaddir: [40, { fid: 'u32', offset: 'u64', count: 'u32' }],
  Rreaddir: [41, { data: 'data' }],
  Tfsync: [50, { fid: 'u32', dataOnly: 'u32' }],
  Rfsync: [51, {}],
  Tlock: [
    52,
    { fid: 'u32', type: 'u8', flags: 'u32', start: 'u64', length: 'u64', processId: 'u32', clientId: 'text' },
  ],
  Rlock: [53, { status: 'u8' }],
  Tgetlock: [54, { fid: 'u32', type: 'u8', start: 'u64', length: 'u64', processId: 'u32', clientId: 'text' }],
  Rgetlock: [55, { type: 'u8', start: 'u64', length: 'u64', processId: 'u32', clientId: 'text' }],
  Tlink: [70, { toFid: 'u32', fid: 'u32', name: 'name' }],
  Rlink: [71, {}],
  Tmkdir: [72, { fid: 'u32', name: 'name', mode: 'u32', gid: 'u32' }],
  Rmkdir: [73, MADE],
  Trenameat: [74, { fid: 'u32', name: 'name', toFid: 'u32', toName: 'name' }],
  Rrenameat: [75, {}],
  Tunlinkat: [76, { fid: 'u32', name: 'name', flags: 'u32' }],
  Runlinkat: [77, {}],
  Tversion: [100, { msize: 'u32', version: 'text' }],
  Rversion: [101, { msize: 'u32', version: 'text' }],
  Tauth: [102, { afid: 'u32', uname: 'text', aname: 'text', uid: 'u32' }],
  Rauth: [103, { qid: 'qid' }],
  Tattach: [104, { fid: 'u32', afid: 'u32', uname: 'text', aname: 'text', uid: 'u32' }],
  Rattach: [105, { qid: 'qid' }],
  Tflush: [108, { oldTag: 'u16' }],
  Rflush: [109, {}],
  Twalk: [110, { fid: 'u32', newFid: 'u32', names: 'names' }],
  Rwalk: [111, { qids: 'qids' }],
  Tread: [116, { fid: 'u32', offset: 'u64', count: 'u32' }],
  Rread: [117, { data: 'data' }],
  Twrite: [118, { fid: 'u32', offset: 'u64', data: 'data' }],
  Rwrite: [119, { count: 'u32' }],
  Tclunk: [120, { fid: 'u32' }],
  Rclunk: [121, {}],
  Tremove: [122, { fid: 'u32' }],
  Rremove: [123, {}],
} as const satisfies Record<string, readonly [number, Record<string, FieldType>]>

type Messages = typeof MESSAGES
export type MessageName = keyof Messages
export type Fields<N extends MessageName> = {
  -readonly [F in keyof Messages[N][1]]: FieldTypes[Messages[N][1][F] & FieldType]
}
export type Message<N extends MessageName = MessageName> = { [M in N]: { message: M; tag: number } & Fields<M> }[N]
export type RequestName = MessageName & `T${string}`
export type ReplyName = MessageName & `R${string}`
export type Request<N extends RequestName = RequestName> = Message<N>

export type Attributes9p = Fields<'Rgetattr'>

export const NO_TAG = 0xffff
export const NO_FID = 0xffffffff
/** What a message with data has besides it, as Linux reckons: the longest read and write are `msize` less this. */
export const DATA_HEADER_BYTES = 24

interface Form {
  name: MessageName
  fields: (readonly [string, FieldType])[]
}
const forms: (Form | undefined)[] = []
const formOf = {} as Record<MessageName, Form>
for (const [name, [number, fields]] of Object.entries(MESSAGES)) {
  const form = { name: name as MessageName, fields: Object.entries(fields) }
  forms[number] = form
  formOf[form.name] = form
}

/** Of a message that has a whole header. */
export const typeOf = (message: Uint8Array): number => message[4]!
export const tagOf = (message: Uint8Array): number => message[5]! | (message[6]! << 8)
export const sizeOf = (bytes: Uint8Array, at = 0): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0

/**
 * Takes a whole message apart. Throws EOPNOTSUPP for an unknown type, EPROTO for what does not fit the message, and
 * what `checkName` does.
 */
export function decode(bytes: Uint8Array): Message {
  const form = forms[typeOf(bytes)]
  if (form === undefined) throw new FileError('EOPNOTSUPP', `a message of the unknown type ${typeOf(bytes)}`)
  const reader = new WireReader(bytes)
  const decoded: Record<string, unknown> = { message: form.name, tag: tagOf(bytes) }
  for (const [field, type] of form.fields) decoded[field] = reader.field(type)
  reader.end()
  return decoded as unknown as Message
}

export function encode<N extends MessageName>(name: N, tag: number, fields: Fields<N>): Buffer {
  const form = formOf[name].fields
  const values = fields as unknown as Record<string, FieldTypes[FieldType]>
  let size = HEADER_BYTES
  for (const [field, type] of form) size += bytesOf(type, values[field]!)
  const writer = new WireWriter(MESSAGES[name][0], tag, size)
  for (const [field, type] of form) writer.field(type, values[field]!)
  return writer.bytes
}

/** A reply with `count` bytes of data that are put in afterwards. */
export class DataReply {
  static readonly headerBytes = HEADER_BYTES + 4
  readonly #bytes: Buffer

  constructor(
    private readonly name: 'Rread' | 'Rreaddir',
    count: number,
  ) {
    this.#bytes = Buffer.allocUnsafe(DataReply.headerBytes + count)
  }

  get data(): Buffer {
    return this.#bytes.subarray(DataReply.headerBytes)
  }

  /** With the first `count` bytes of the data; much room that was not needed is not kept. */
  finish(tag: number, count: number): Buffer {
    const length = DataReply.headerBytes + count
    const used = this.#bytes.subarray(0, length)
    const reply = length < this.#bytes.length / 2 ? Buffer.from(used) : used
    writeHeader(reply, MESSAGES[this.name][0], tag)
    reply.writeUInt32LE(count, HEADER_BYTES)
    return reply
  }
}
