import { VmmError } from '../model/errors'
import { partOf, type ByteRange } from './byte-range'

/**
 * tar archives as OVA uses them (POSIX.1-1988 ustar, with the extensions that tools write for long names and large
 * files). An archive is a sequence of entries, each a header of 512 bytes and its content, padded to 512; two blocks of
 * zeros end it. In a header:
 *
 *       0 100  name, ended by NUL unless it is full
 *     100  24  mode, owner, group: octal digits, NUL
 *     124  12  size: octal digits, NUL or space; or base 256 (GNU), when the first bit is set
 *     136  12  time, octal
 *     148   8  sum of all bytes of the header, these eight taken as spaces; octal
 *     156   1  type: '0' or NUL a file, 'L' the long name of the next entry (GNU), 'x' pax records for it
 *     257   8  "ustar", NUL, "00" (GNU: "ustar  ", NUL)
 *     345 155  folder of the name, when not empty (GNU has other things there)
 */
export const TAR_BLOCK = 512

const ENTRY_LIMIT = 2000
/** Of a long name, or of all pax records of an entry. */
const EXTENSION_LIMIT = 64 * 1024
const NAME_LIMIT = 1024

export interface TarFile {
  name: string
  /** Where the content begins in the archive, bytes; a multiple of 512. */
  offset: number
  bytes: number
}

/** The regular files of an archive. Reads headers only. Throws kind `damaged` or `unsupported`. */
export async function readTar(archive: ByteRange): Promise<TarFile[]> {
  const files: TarFile[] = []
  let next: Partial<Pick<TarFile, 'name' | 'bytes'>> = {}
  let at = 0
  for (let count = 0; at + TAR_BLOCK <= archive.bytes; count += 1) {
    if (count === ENTRY_LIMIT) throw damaged(`it has more than ${ENTRY_LIMIT} entries`)
    const header = await archive.read(at, TAR_BLOCK)
    if (header.length < TAR_BLOCK || header.every((byte) => byte === 0)) break
    const { type, name, bytes } = parseHeader(header)
    const offset = at + TAR_BLOCK
    const size = isFile(type) ? (next.bytes ?? bytes) : bytes
    if (offset + size > archive.bytes) throw damaged('it is cut off')
    if (type === 'L' || type === 'x') {
      if (size > EXTENSION_LIMIT) throw damaged('a name in it is too long')
      const content = await partOf(archive, offset, size).read(0, size)
      next = { ...next, ...(type === 'L' ? { name: untilNul(content) } : parsePax(content)) }
    } else {
      if (type === 'S') throw new VmmError('unsupported', 'The archive holds sparse files, which are not taken.')
      if (isFile(type)) files.push({ name: plainPath(next.name ?? name), offset, bytes: size })
      next = {}
    }
    at = offset + padded(size)
  }
  return files
}

/** The header of a regular file. `name` is ASCII of up to 100 characters. */
export function tarHeader(name: string, bytes: number, modifiedAt: Date): Buffer {
  const header = Buffer.alloc(TAR_BLOCK)
  header.write(name, 0, 100, 'ascii')
  header.write('0000644\x000000000\x000000000\x00', 100, 'ascii')
  writeNumber(header, 124, bytes)
  writeNumber(header, 136, Math.floor(modifiedAt.getTime() / 1000))
  header.write('0', 156, 'ascii')
  header.write('ustar\x0000', 257, 'ascii')
  header.write(`${checksum(header).toString(8).padStart(6, '0')}\x00 `, 148, 'ascii')
  return header
}

/** `bytes` rounded up to whole blocks. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / TAR_BLOCK) * TAR_BLOCK
}

function parseHeader(header: Buffer) {
  const stated = readNumber(header, 148, 8)
  if (stated !== checksum(header)) throw damaged('the checksum of a header is wrong')
  const isPosix = header.toString('latin1', 257, 263) === 'ustar\x00'
  const folder = isPosix ? untilNul(header.subarray(345, 500)) : ''
  const name = untilNul(header.subarray(0, 100))
  return {
    type: String.fromCharCode(header[156] ?? 0),
    name: folder ? `${folder}/${name}` : name,
    bytes: readNumber(header, 124, 12),
  }
}

function isFile(type: string): boolean {
  return type === '0' || type === '\0' || type === '7'
}

function checksum(header: Buffer): number {
  return header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0)
}

function readNumber(header: Buffer, at: number, length: number): number {
  const field = header.subarray(at, at + length)
  const value =
    ((field[0] ?? 0) & 0x80) === 0
      ? parseInt(/^[ 0]*([0-7]*)[\0 ]*$/.exec(field.toString('latin1'))?.[1] ?? 'x', 8)
      : field.reduce((sum, byte, index) => sum * 256 + (index === 0 ? byte & 0x7f : byte), 0)
  if (/^[ 0]*[\0 ]*$/.test(field.toString('latin1'))) return 0
  if (!Number.isSafeInteger(value)) throw damaged('a number in a header is wrong')
  return value
}

function writeNumber(header: Buffer, at: number, value: number): void {
  const octal = value.toString(8).padStart(11, '0')
  if (octal.length === 11) {
    header.write(`${octal}\x00`, at, 'ascii')
  } else {
    header[at] = 0x80
    header.writeBigUInt64BE(BigInt(value), at + 4)
  }
}

/** Records of pax (POSIX.1-2001): 'LENGTH KEY=VALUE\n', where LENGTH counts all of it. */
function parsePax(content: Buffer): Partial<Pick<TarFile, 'name' | 'bytes'>> {
  const found: Partial<Pick<TarFile, 'name' | 'bytes'>> = {}
  for (let at = 0; at < content.length;) {
    const [, digits, start] = /^((\d{1,6}) )/.exec(content.toString('latin1', at, at + 8)) ?? []
    const length = Number(start)
    if (digits === undefined || length <= digits.length || at + length > content.length) break
    const record = content.toString('utf8', at + digits.length, at + length - 1)
    const value = record.slice(record.indexOf('=') + 1)
    if (record.startsWith('path=')) found.name = value
    if (record.startsWith('size=')) {
      if (!/^\d{1,15}$/.test(value)) throw damaged('a size in it is wrong')
      found.bytes = Number(value)
    }
    if (record.startsWith('GNU.sparse.')) {
      throw new VmmError('unsupported', 'The archive holds sparse files, which are not taken.')
    }
    at += length
  }
  return found
}

function untilNul(field: Buffer): string {
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end === -1 ? field.length : end)
}

function plainPath(name: string): string {
  return name.slice(0, NAME_LIMIT).replace(/^(\.\/)+/, '')
}

function damaged(what: string): VmmError {
  return new VmmError('damaged', `The archive is damaged: ${what}.`, {
    hint: 'Copy or download the file again and compare its checksum.',
  })
}
