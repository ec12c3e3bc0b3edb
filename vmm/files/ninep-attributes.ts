import { FileError } from './file-error'
import { encode, type Attributes9p, type Fields } from './ninep-messages'
import type { Qid } from './ninep-wire'
import { MODE, type AttributeChange, type Attributes, type FileTime, type TreeSpace } from './provider'

const BLOCK_BYTES = 4096
/** What `blocks` counts, whatever the block size. (stat(2)) */
const SECTOR_BYTES = 512
/** All that stat(2) tells. */
const BASIC = 0x7ff
/** V9FS_MAGIC of linux/magic.h. */
const FILE_SYSTEM = 0x01021997
const NAME_LENGTH = 255
const QID_FOLDER = 0x80
const QID_LINK = 0x02

/** Bits that tell which fields of Tsetattr count. */
const CHANGE = {
  mode: 0x1,
  uid: 0x2,
  gid: 0x4,
  size: 0x8,
  accessed: 0x10,
  modified: 0x20,
  accessedSet: 0x80,
  modifiedSet: 0x100,
} as const

/** The version is never 0, as newer kernels take that for a file that must not be cached. */
export function qidOf(attributes: Attributes): Qid {
  const { modified, size, ino } = attributes
  const version = (modified.sec ^ modified.nsec ^ (size << 8)) >>> 0
  return { kind: qidKind(attributes.mode), version: version || 1, path: ino }
}

export function qidKind(mode: number): number {
  const kind = mode & MODE.kind
  if (kind === MODE.folder) return QID_FOLDER
  return kind === MODE.link ? QID_LINK : 0
}

export function attributesReply(tag: number, attributes: Attributes): Buffer {
  const { accessed, modified, changed, device } = attributes
  const fields: Attributes9p = {
    valid: BASIC,
    qid: qidOf(attributes),
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    links: attributes.links,
    device: deviceNumber(device),
    size: attributes.size,
    blockSize: BLOCK_BYTES,
    blocks: Math.ceil(attributes.used / SECTOR_BYTES),
    accessedSec: accessed.sec,
    accessedNsec: accessed.nsec,
    modifiedSec: modified.sec,
    modifiedNsec: modified.nsec,
    changedSec: changed.sec,
    changedNsec: changed.nsec,
    bornSec: 0,
    bornNsec: 0,
    generation: 0,
    dataVersion: 0,
  }
  return encode('Rgetattr', tag, fields)
}

/** Linux's new_encode_dev: 8 low bits of the minor number, 12 of the major, and the rest of the minor. */
function deviceNumber({ major, minor }: { major: number; minor: number }): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0
}

export function changeOf(request: Fields<'Tsetattr'>): AttributeChange {
  const { valid } = request
  const has = (bit: number) => (valid & bit) !== 0
  const change: AttributeChange = {}
  if (has(CHANGE.mode)) change.mode = request.mode & MODE.permissions
  if (has(CHANGE.uid)) change.uid = request.uid
  if (has(CHANGE.gid)) change.gid = request.gid
  if (has(CHANGE.size)) change.size = sizeChange(request.size)
  if (has(CHANGE.accessed)) {
    change.accessed = has(CHANGE.accessedSet) ? timeOf(request.accessedSec, request.accessedNsec) : 'now'
  }
  if (has(CHANGE.modified)) {
    change.modified = has(CHANGE.modifiedSet) ? timeOf(request.modifiedSec, request.modifiedNsec) : 'now'
  }
  return change
}

function sizeChange(size: number): number {
  if (size >= Number.MAX_SAFE_INTEGER) throw new FileError('EFBIG')
  return size
}

function timeOf(sec: number, nsec: number): FileTime {
  if (nsec >= 1e9 || !Number.isSafeInteger(sec)) throw new FileError('EINVAL', 'a time that there is not')
  return { sec, nsec }
}

export function spaceReply(tag: number, space: TreeSpace): Buffer {
  const free = Math.floor(space.free / BLOCK_BYTES)
  return encode('Rstatfs', tag, {
    type: FILE_SYSTEM,
    blockSize: BLOCK_BYTES,
    blocks: Math.floor(space.total / BLOCK_BYTES),
    blocksFree: free,
    blocksAvailable: free,
    files: space.files,
    filesFree: space.filesFree,
    fsid: 0,
    nameLength: NAME_LENGTH,
  })
}
