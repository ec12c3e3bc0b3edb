import { createReadStream } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { Readable, Writable } from 'node:stream'
import { constants, createGunzip, createGzip } from 'node:zlib'
import { VmmError } from '../model/errors'
import { writeWhole } from './whole-writes'

/**
 * A state file: a 32-byte header, then v86's state, plain or gzip.
 *
 *     0  8  magic "VIVSTATE"
 *     8  4  version, u32 little-endian
 *    12  4  1 when the body is gzip, else 0
 *    16  8  length of the plain state, u64
 *    24  8  length of the body, u64
 *
 * gzip carries a CRC-32 of the plain state; a plain body is checked by its length, and is used only for
 * boot snapshots, which can always be made again.
 */
const MAGIC = 'VIVSTATE'
const VERSION = 1
const HEADER_BYTES = 32
/** v86 guests have at most 2 GiB of memory, and a state is not much more. */
const PLAIN_LIMIT = 2.25 * 1024 ** 3

/** Writes `state` to `file` by way of a temporary name, synced, so that the file is whole or absent. */
export async function writeState(file: string, state: ArrayBuffer, compress: boolean): Promise<number> {
  const temporary = `${file}.partial`
  try {
    const bodyBytes = await writeBody(temporary, state, compress)
    await rename(temporary, file)
    return HEADER_BYTES + bodyBytes
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function writeBody(file: string, state: ArrayBuffer, compress: boolean): Promise<number> {
  const handle = await open(file, 'w', 0o600)
  try {
    let position = HEADER_BYTES
    const sink = new Writable({
      write(chunk: Uint8Array, _encoding, done) {
        const at = position
        position += chunk.byteLength
        writeWhole(handle, chunk, chunk.byteLength, at).then(() => done(), done)
      },
    })
    const source = Readable.from(slices(state))
    if (compress) await pipeline(source, createGzip({ level: constants.Z_BEST_SPEED }), sink)
    else await pipeline(source, sink)
    const header = Buffer.alloc(HEADER_BYTES)
    header.write(MAGIC, 0, 'latin1')
    header.writeUInt32LE(VERSION, 8)
    header.writeUInt32LE(compress ? 1 : 0, 12)
    header.writeBigUInt64LE(BigInt(state.byteLength), 16)
    header.writeBigUInt64LE(BigInt(position - HEADER_BYTES), 24)
    await writeWhole(handle, header, HEADER_BYTES, 0)
    await handle.sync()
    return position - HEADER_BYTES
  } finally {
    await handle.close()
  }
}

function* slices(state: ArrayBuffer): Generator<Buffer> {
  const slice = 1024 * 1024
  for (let at = 0; at < state.byteLength; at += slice) {
    yield Buffer.from(state, at, Math.min(slice, state.byteLength - at))
  }
}

interface StateHeader {
  gzip: boolean
  plainBytes: number
}

function damaged(file: string, what: string, cause?: unknown): VmmError {
  return new VmmError('damaged', `The saved state ${what}.`, {
    hint: 'Revert to a snapshot or start the domain afresh.',
    context: { file },
    cause,
  })
}

/** Checks what can be told without reading the body. Throws kind `damaged`. */
export async function checkStateFile(file: string): Promise<StateHeader> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw damaged(file, 'is missing', error)
  })
  const header = Buffer.alloc(HEADER_BYTES)
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw damaged(file, 'is not a state file')
    const { bytesRead } = await handle.read(header, 0, HEADER_BYTES, 0)
    if (bytesRead < HEADER_BYTES || header.toString('latin1', 0, 8) !== MAGIC)
      throw damaged(file, 'is not a state file')
    if (header.readUInt32LE(8) !== VERSION) throw damaged(file, 'was written by another version of Vivarium')
    const plainBytes = Number(header.readBigUInt64LE(16))
    const bodyBytes = Number(header.readBigUInt64LE(24))
    const packing = header.readUInt32LE(12)
    if (plainBytes > PLAIN_LIMIT || packing > 1) throw damaged(file, 'claims what cannot be')
    if (found.size !== HEADER_BYTES + bodyBytes) throw damaged(file, 'is cut short')
    return { gzip: packing === 1, plainBytes }
  } finally {
    await handle.close()
  }
}

/** Reads a state file. Throws kind `damaged` for anything but a whole one. */
export async function readState(file: string): Promise<ArrayBuffer> {
  const { gzip, plainBytes } = await checkStateFile(file)
  const plain = Buffer.from(new ArrayBuffer(plainBytes))
  let filled = 0
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const fits = filled + chunk.length <= plainBytes
      if (fits) filled += chunk.copy(plain, filled)
      done(fits ? null : damaged(file, 'holds more than it says'))
    },
  })
  const source = createReadStream(file, { start: HEADER_BYTES, highWaterMark: 1024 * 1024 })
  try {
    await (gzip ? pipeline(source, createGunzip({ chunkSize: 1024 * 1024 }), sink) : pipeline(source, sink))
  } catch (error) {
    if (error instanceof VmmError) throw error
    throw damaged(file, 'is damaged', error)
  }
  if (filled !== plainBytes) throw damaged(file, 'is cut short')
  return plain.buffer
}
