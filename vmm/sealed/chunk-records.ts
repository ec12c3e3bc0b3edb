import { damaged } from './damage'
import { CHUNK, SLOTS_MOST, type ChunkMap } from './chunk-map'
import { NONCE_BYTES, TAG_BYTES } from './store-key'

/**
 * A piece of a blob's history for its owner's journal; only the blob reads it. One or more of, little-endian:
 *
 *   u8 1, f64 size, f64 end of what is seen of the layer below
 *   u8 2, f64 chunk, u32 slot, u16 bytes, nonce, tag
 *   u8 3, f64 first chunk, u32 count: all zeros
 *   u8 4, f64 first chunk, u32 count: what lies below
 */
export type ChunkRecord = Uint8Array

const [SIZE, STORED, ZERO, ABSENT] = [1, 2, 3, 4]
const SIZE_BYTES = 17
const STORED_BYTES = 15 + NONCE_BYTES + TAG_BYTES
const RUN_BYTES = 13
/** Records are kept well below what a journal takes. */
const RECORD_ENOUGH = 128 * 1024

interface Run {
  kind: number
  from: number
  count: number
}

/** A blob's size, and how far it looks through to what is below, bytes. */
export interface Extent {
  size: number
  belowEnd: number
}

/** What the chunks, in order, are now. */
export function* encodeChunks(extent: Extent | null, chunks: Iterable<number>, map: ChunkMap): Generator<ChunkRecord> {
  let record = Buffer.allocUnsafe(RECORD_ENOUGH + 2 * STORED_BYTES)
  let at = extent ? encodeExtent(record, extent) : 0
  let run = null as Run | null
  for (const chunk of chunks) {
    const state = map.state(chunk)
    const kind = state === 'zero' ? ZERO : state === 'absent' ? ABSENT : STORED
    if (run?.kind === kind && run.from + run.count === chunk && run.count < 0xffffffff) {
      run.count++
      continue
    }
    if (run) at = encodeRun(record, at, run)
    run = kind === STORED ? null : { kind, from: chunk, count: 1 }
    if (kind === STORED) at = encodeStored(record, at, chunk, map)
    if (at < RECORD_ENOUGH) continue
    yield record.subarray(0, at)
    record = Buffer.allocUnsafe(RECORD_ENOUGH + 2 * STORED_BYTES)
    at = 0
  }
  if (run) at = encodeRun(record, at, run)
  if (at > 0) yield Uint8Array.prototype.slice.call(record, 0, at)
}

/** Puts a record into the map; throws kind `damaged`, naming `file`, for one that no blob makes. */
export function applyRecord(bytes: ChunkRecord, map: ChunkMap, extent: Extent, file: string): void {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    for (let at = 0; at < record.length;) at = applyAt(record, at, map, extent)
  } catch (error) {
    if (error instanceof RangeError) throw damaged(file, 'What is known about the file is damaged')
    throw error
  }
}

function applyAt(record: Buffer, at: number, map: ChunkMap, extent: Extent): number {
  const kind = record[at]
  const number = record.readDoubleLE(at + 1)
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError('number')
  if (kind === SIZE) {
    extent.size = number
    extent.belowEnd = record.readDoubleLE(at + 9)
    return at + SIZE_BYTES
  }
  if (kind === STORED) {
    const [slot, length] = [record.readUInt32LE(at + 9), record.readUInt16LE(at + 13)]
    const tag = at + 15 + NONCE_BYTES
    if (slot >= SLOTS_MOST || length === 0 || length > CHUNK || tag + TAG_BYTES > record.length) {
      throw new RangeError('stored')
    }
    const nonce = record.subarray(at + 15, tag)
    map.store(number, { slot, length, nonce, tag: record.subarray(tag, tag + TAG_BYTES) })
    return at + STORED_BYTES
  }
  if (kind !== ZERO && kind !== ABSENT) throw new RangeError('kind')
  const count = record.readUInt32LE(at + 9)
  for (let chunk = number; chunk < number + count; chunk++) map.mark(chunk, kind === ZERO ? 'zero' : 'absent')
  return at + RUN_BYTES
}

function encodeExtent(record: Buffer, { size, belowEnd }: Extent): number {
  record[0] = SIZE
  record.writeDoubleLE(size, 1)
  return record.writeDoubleLE(belowEnd, 9)
}

function encodeStored(record: Buffer, at: number, chunk: number, map: ChunkMap): number {
  const { slot, length, nonce, tag } = map.stored(chunk)
  record[at] = STORED
  record.writeDoubleLE(chunk, at + 1)
  record.writeUInt32LE(slot, at + 9)
  record.writeUInt16LE(length, at + 13)
  record.set(nonce, at + 15)
  record.set(tag, at + 15 + NONCE_BYTES)
  return at + STORED_BYTES
}

function encodeRun(record: Buffer, at: number, { kind, from, count }: Run) {
  record[at] = kind
  record.writeDoubleLE(from, at + 1)
  return record.writeUInt32LE(count, at + 9)
}
