import { closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

interface Entry {
  name: string
  /** Unix mode, so that programs stay programs. */
  mode: number
  crc: number
  size: number
  offset: number
}

/** Writes all files below `folder` to a zip, uncompressed: for what is unpacked again at once. */
export function writeStoredZip(folder: string, zipFile: string): void {
  const output = openSync(zipFile, 'w')
  let offset = 0
  const write = (bytes: Uint8Array): void => {
    writeSync(output, bytes)
    offset += bytes.byteLength
  }
  const entries: Entry[] = []
  for (const name of namesBelow(folder)) {
    const body = readFileSync(join(folder, name))
    const { mode } = statSync(join(folder, name))
    const entry = { name, mode, crc: crc32(body), size: body.byteLength, offset }
    entries.push(entry)
    write(header(entry, 'local'))
    write(body)
  }
  const directory = offset
  for (const entry of entries) write(header(entry, 'central'))
  write(endRecord(entries.length, directory, offset - directory))
  closeSync(output)
}

function namesBelow(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? namesBelow(folder, `${prefix}${entry.name}/`) : [`${prefix}${entry.name}`],
  )
}

/** A local or central header; the central one has the Unix mode and the place of the local one. */
function header({ name, mode, crc, size, offset }: Entry, kind: 'local' | 'central'): Buffer {
  const central = kind === 'central'
  const title = Buffer.from(name)
  const start = Buffer.alloc(central ? 8 : 6)
  start.writeUInt32LE(central ? 0x02014b50 : 0x04034b50, 0)
  // made by Unix, version 2.0; needs version 2.0; names are UTF-8
  if (central) start.writeUInt16LE(0x0314, 4)
  start.writeUInt16LE(20, start.length - 2)
  const middle = Buffer.alloc(24)
  middle.writeUInt16LE(0x0800, 0)
  middle.writeUInt32LE(crc, 8)
  middle.writeUInt32LE(size, 12)
  middle.writeUInt32LE(size, 16)
  middle.writeUInt16LE(title.length, 20)
  const end = Buffer.alloc(central ? 14 : 0)
  if (central) end.writeUInt32LE((mode << 16) >>> 0, 6)
  if (central) end.writeUInt32LE(offset, 10)
  return Buffer.concat([start, middle, end, title])
}

function endRecord(count: number, offset: number, size: number): Buffer {
  const record = Buffer.alloc(22)
  record.writeUInt32LE(0x06054b50, 0)
  record.writeUInt16LE(count, 8)
  record.writeUInt16LE(count, 10)
  record.writeUInt32LE(size, 12)
  record.writeUInt32LE(offset, 16)
  return record
}
