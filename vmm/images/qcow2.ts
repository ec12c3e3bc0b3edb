import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { damagedDisk, type DiskFile } from './disk-file'

/** What the header of a qcow2 file names besides itself. */
export interface Qcow2Header {
  backing: { name: string; format: string } | null
}

/** QEMU's docs/interop/qcow2.txt. All numbers are big-endian. */
const MAGIC = 0x514649fb
const V2_HEADER_BYTES = 72
const V3_HEADER_BYTES = 104
const HEADER_LIMIT = 64 * 1024
const BACKING_NAME_LIMIT = 1023
const EXTERNAL_DATA_FILE = 0x4
const EXTENSION_END = 0
const BACKING_FORMAT = 0xe2792aca
const EXTENSION_LIMIT = 100

/** Reads the header of a qcow2 file, version 2 or 3. Throws for what cannot be read without other files. */
export async function readQcow2(file: DiskFile): Promise<Qcow2Header> {
  const head = await file.range.read(0, HEADER_LIMIT)
  if (head.length < V2_HEADER_BYTES || head.readUInt32BE(0) !== MAGIC) throw damagedDisk(file, 'it has no qcow2 header')
  const version = head.readUInt32BE(4)
  if (version !== 2 && version !== 3) {
    throw new VmmError('unsupported', `'${file.name}' is a QEMU disk of version ${version}, which is not taken.`, {
      hint: 'Convert it to qcow2 first: qemu-img convert -O qcow2 FROM TO.',
    })
  }
  if (version === 3 && head.length < V3_HEADER_BYTES) throw damagedDisk(file, 'its header is cut off')
  if (head.readUInt32BE(32) !== 0) {
    throw new VmmError('unsupported', `'${file.name}' is encrypted.`, {
      hint: 'Convert it to a disk without encryption first, with qemu-img convert and its secret.',
    })
  }
  if (version === 3 && (head.readUInt32BE(76) & EXTERNAL_DATA_FILE) !== 0) {
    throw new VmmError('unsupported', `'${file.name}' keeps its content in another file.`, {
      hint: 'Convert it to a disk of one file first: qemu-img convert -O qcow2 FROM TO.',
    })
  }
  const headerBytes = version === 2 ? V2_HEADER_BYTES : head.readUInt32BE(100)
  if (version === 3 && headerBytes < V3_HEADER_BYTES) throw damagedDisk(file, 'the length of its header is wrong')
  return { backing: readBacking(file, head, headerBytes) }
}

function readBacking(file: DiskFile, head: Buffer, headerBytes: number): Qcow2Header['backing'] {
  const offset = Number(head.readBigUInt64BE(8))
  if (offset === 0) return null
  const length = head.readUInt32BE(16)
  if (length === 0 || length > BACKING_NAME_LIMIT || offset + length > head.length) {
    throw damagedDisk(file, 'the name of its backing file is not in its header')
  }
  const name = head.toString('utf8', offset, offset + length)
  const format = backingFormat(file, head, headerBytes)
  if (format === null) {
    const shown = safeText(name, 100)
    throw new VmmError('denied', `'${file.name}' lies upon '${shown}' without saying what format that has.`, {
      hint: `Name it, if you trust both files: qemu-img rebase -u -F qcow2 -b '${shown}' '${file.name}' (or -F raw).`,
    })
  }
  return { name, format }
}

function backingFormat(file: DiskFile, head: Buffer, headerBytes: number): string | null {
  let at = headerBytes
  for (let count = 0; count < EXTENSION_LIMIT && at + 8 <= head.length; count += 1) {
    const type = head.readUInt32BE(at)
    const length = head.readUInt32BE(at + 4)
    if (type === EXTENSION_END) return null
    if (at + 8 + length > head.length) break
    if (type === BACKING_FORMAT) return head.toString('latin1', at + 8, at + 8 + length)
    at += 8 + Math.ceil(length / 8) * 8
  }
  throw damagedDisk(file, 'the extensions of its header do not end')
}
