import { createHash, randomBytes } from 'node:crypto'
import { damaged, wrongKey } from './damage'
import { NONCE_BYTES, TAG_BYTES, type FileKey, type StoreKey } from './store-key'

/*
 * Layout of a journal, little-endian:
 *
 *      0  'VIVJRNL1', u32 version, u32 1 when encrypted, 16 bytes id, 16 bytes check of the key,
 *         16 bytes of the SHA-256 of all that
 *    512  anchor: nonce, tag, then sealed: u64 number of frames, u64 length of the file, 16 bytes tag of the last frame
 *   1024  the other anchor; they are written in turns, so that one is always whole
 *   1536  frames: u32 bytes of content, u32 check of that, nonce, tag, then sealed: records, each after its u32 length
 *
 * A frame is bound to the journal's id (by its key), to its number and place, and to the tag of the frame before it. An
 * anchor tells of frames that are known to have reached the disk: what is missing or wrong before its length is damage,
 * and only what comes after may have been torn by a crash.
 */
const MAGIC = Buffer.from('VIVJRNL1')
const VERSION = 1
const ID_BYTES = 16
const CHECKED_BYTES = 48
const ANCHOR_BYTES = 32
const ANCHOR_PLACES = [512, 1024] as const
export const FIRST_FRAME = 1536
export const FRAME_HEADER = 8 + NONCE_BYTES + TAG_BYTES
export const RECORD_MOST = 1024 * 1024
/** A frame is closed once it has this much; one record more may be in it. */
export const FRAME_ENOUGH = 1024 * 1024
const CONTENT_MOST = FRAME_ENOUGH + 2 * (RECORD_MOST + 4)

/** How far a journal has come. */
export interface Position {
  frames: number
  /** Bytes from the start of the file. */
  length: number
  /** Tag of the last frame. */
  tag: Uint8Array
}

export const START: Position = { frames: 0, length: FIRST_FRAME, tag: new Uint8Array(TAG_BYTES) }

/** The first bytes of a new journal, and its key. */
export function newHeader(store: StoreKey): { bytes: Buffer; key: FileKey } {
  const bytes = Buffer.alloc(FIRST_FRAME)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(VERSION, 8)
  bytes.writeUInt32LE(store.sealed ? 1 : 0, 12)
  const id = randomBytes(ID_BYTES)
  id.copy(bytes, 16)
  const key = keyOf(store, id)
  bytes.set(key.check, 32)
  checkOf(bytes).copy(bytes, CHECKED_BYTES)
  return { bytes, key }
}

/** The key of a journal that begins with `bytes`; throws kind `damaged`. */
export function readHeader(bytes: Buffer, store: StoreKey, file: string): FileKey {
  if (bytes.length < FIRST_FRAME || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw damaged(file, 'The journal is damaged: it does not begin as one')
  }
  if (!checkOf(bytes).equals(bytes.subarray(CHECKED_BYTES, CHECKED_BYTES + TAG_BYTES))) {
    throw damaged(file, 'The journal is damaged at its beginning')
  }
  if (bytes.readUInt32LE(8) !== VERSION) throw damaged(file, 'The journal was written by a newer Vivarium')
  const key = keyOf(store, bytes.subarray(16, 16 + ID_BYTES))
  const isSealed = bytes.readUInt32LE(12) === 1
  if (isSealed !== store.sealed || !bytes.subarray(32, 32 + TAG_BYTES).equals(key.check)) throw wrongKey(file)
  return key
}

/** An anchor that tells of `position`, and where it belongs. */
export function newAnchor(key: FileKey, position: Position, turn: number): { bytes: Buffer; at: number } {
  const at = ANCHOR_PLACES[turn % 2] ?? ANCHOR_PLACES[0]
  const plain = Buffer.alloc(ANCHOR_BYTES)
  plain.writeBigUInt64LE(BigInt(position.frames), 0)
  plain.writeBigUInt64LE(BigInt(position.length), 8)
  plain.set(position.tag, 16)
  const bytes = Buffer.alloc(NONCE_BYTES + TAG_BYTES + ANCHOR_BYTES)
  const { nonce, tag } = key.seal(plain, Buffer.from(`anchor ${at}`), bytes.subarray(NONCE_BYTES + TAG_BYTES))
  bytes.set(nonce, 0)
  bytes.set(tag, NONCE_BYTES)
  return { bytes, at }
}

/** The anchor that tells of most, and the turn after it; throws kind `damaged` when none is whole. */
export function readAnchors(header: Buffer, key: FileKey, file: string): { position: Position; turn: number } {
  const whole = ANCHOR_PLACES.flatMap((at, turn) => {
    const position = readAnchor(header, key, at)
    return position ? [{ position, turn: turn + 1 }] : []
  })
  const newest = whole.sort((a, b) => b.position.frames - a.position.frames)[0]
  if (newest === undefined) throw damaged(file, 'The journal is damaged: it does not tell how long it is')
  return newest
}

function readAnchor(header: Buffer, key: FileKey, at: number): Position | null {
  const content = at + NONCE_BYTES + TAG_BYTES
  const seal = { nonce: header.subarray(at, at + NONCE_BYTES), tag: header.subarray(at + NONCE_BYTES, content) }
  const plain = key.open(header.subarray(content, content + ANCHOR_BYTES), seal, Buffer.from(`anchor ${at}`))
  if (plain === null) return null
  const read = Buffer.from(plain)
  return {
    frames: Number(read.readBigUInt64LE(0)),
    length: Number(read.readBigUInt64LE(8)),
    tag: read.subarray(16, 32),
  }
}

/** The frame of some records that comes at `position`, and the position after it. */
export function newFrame(key: FileKey, records: readonly Uint8Array[], position: Position) {
  const length = records.reduce((sum, record) => sum + 4 + record.byteLength, 0)
  const content = Buffer.alloc(length)
  let at = 0
  for (const record of records) {
    at = content.writeUInt32LE(record.byteLength, at)
    content.set(record, at)
    at += record.byteLength
  }
  const bytes = Buffer.alloc(FRAME_HEADER + length)
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt32LE(lengthCheck(length, position), 4)
  const { nonce, tag } = key.seal(content, boundTo(position, length), bytes.subarray(FRAME_HEADER))
  bytes.set(nonce, 8)
  bytes.set(tag, 8 + NONCE_BYTES)
  return { bytes, position: { frames: position.frames + 1, length: position.length + bytes.length, tag } }
}

/** Bytes of content of the frame that begins with `header`, or null when it is not one. */
export function frameContent(header: Buffer, position: Position): number | null {
  const length = header.readUInt32LE(0)
  return length <= CONTENT_MOST && header.readUInt32LE(4) === lengthCheck(length, position) ? length : null
}

/** What is in a whole frame and the position after it, or null when it is not the one that belongs there. */
export function openFrame(key: FileKey, frame: Buffer, position: Position) {
  const tag = Buffer.from(frame.subarray(8 + NONCE_BYTES, FRAME_HEADER))
  const seal = { nonce: frame.subarray(8, 8 + NONCE_BYTES), tag }
  const bound = boundTo(position, frame.length - FRAME_HEADER)
  const content = key.open(frame.subarray(FRAME_HEADER), seal, bound)
  if (content === null) return null
  return { content, position: { frames: position.frames + 1, length: position.length + frame.length, tag } }
}

/** The records of a frame's content. */
export function* recordsOf(content: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength)
  for (let at = 0; at + 4 <= content.byteLength;) {
    const length = view.getUint32(at, true)
    yield content.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
}

function keyOf(store: StoreKey, id: Buffer): FileKey {
  return store.forFile(`journal ${id.toString('hex')}`)
}

function checkOf(header: Buffer): Buffer {
  return createHash('sha256').update(header.subarray(0, CHECKED_BYTES)).digest().subarray(0, TAG_BYTES)
}

function boundTo({ frames, length, tag }: Position, content: number): Buffer {
  const bound = Buffer.alloc(24 + TAG_BYTES)
  bound.writeBigUInt64LE(BigInt(frames), 0)
  bound.writeBigUInt64LE(BigInt(length), 8)
  bound.writeUInt32LE(content, 16)
  bound.set(tag, 24)
  return bound
}

/** Tells a changed length from a frame that a crash has cut short. */
function lengthCheck(length: number, { tag }: Position): number {
  const before = Buffer.from(tag.buffer, tag.byteOffset, 4).readUInt32LE(0)
  return Math.imul(length ^ before ^ 0x5eed1e55, 0x9e3779b1) >>> 0
}
