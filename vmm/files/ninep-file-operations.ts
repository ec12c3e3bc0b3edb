import { FileError } from './file-error'
import { qidKind, qidOf } from './ninep-attributes'
import { Fid, OPEN_FLAG } from './ninep-fids'
import { DATA_HEADER_BYTES, DataReply, encode, type Request } from './ninep-messages'
import { XATTR_CREATE, XATTR_REPLACE } from './ninep-set-xattr'
import type { NinepState } from './ninep-state'
import { appends, attributesHeld, creation } from './ninep-tree-operations'
import { writeQid, writeText, writeU64 } from './ninep-wire'
import { MODE, type FileNode } from './provider'

/** What goes on with a file or folder that is open, and with extended attributes. */

export const XATTR_MOST = 65_536
/** Of an entry of a folder, besides its name: qid, cookie, kind, length of the name. */
const ENTRY_BYTES = 13 + 8 + 1 + 2

export function open(state: NinepState, request: Request<'Tlopen'>): Buffer {
  const fid = state.fids.get(request.fid)
  if (fid.opened) throw new FileError('EBADF', 'it is open already')
  openFid(fid, request.flags)
  return encode('Rlopen', request.tag, { qid: qidOf(fid.provider.attributes(fid.live)), ioUnit: 0 })
}

/** Opens as open(2) would, without following links. */
export function openFid(fid: Fid, flags: number): void {
  const access = flags & OPEN_FLAG.access
  if (access === OPEN_FLAG.access) throw new FileError('EINVAL')
  const write = access !== 0
  switch (fid.kind) {
    case MODE.folder:
      if (write) throw new FileError('EISDIR')
      break
    case MODE.file:
      fid.file = fid.provider.open(fid.live, write)
      if (write && (flags & OPEN_FLAG.truncate) !== 0) truncate(fid)
      break
    case MODE.link:
      throw new FileError('ELOOP')
    default:
      throw new FileError('EINVAL', 'devices are opened in the guest')
  }
  fid.flags = flags
}

function truncate(fid: Fid): void {
  try {
    fid.provider.change(fid.live, { size: 0 })
  } catch (error) {
    fid.file?.close()
    fid.file = null
    throw error
  }
}

/** The fid of the folder becomes that of the file, which another guest may just have made. */
export function create(state: NinepState, request: Request<'Tlcreate'>): Buffer {
  const folder = state.fids.get(request.fid)
  if (folder.opened) throw new FileError('EBADF', 'it is open already')
  const { attachment, provider } = folder
  const at = folder.folder
  const { made, flags } = createOrFind(folder, request)
  const attributes = attributesHeld(provider, made)
  provider.hold(at)
  const place = { folder: at, name: request.name }
  const fid = new Fid(attachment, made, attributes.ino, attributes.mode & MODE.kind, place)
  try {
    openFid(fid, flags)
  } catch (error) {
    provider.drop(made)
    provider.drop(at)
    throw error
  }
  state.close(request.fid)
  state.fids.add(request.fid, fid)
  return encode('Rlcreate', request.tag, { qid: qidOf(attributes), ioUnit: 0 })
}

function createOrFind({ attachment, provider, folder }: Fid, request: Request<'Tlcreate'>) {
  const { name, flags } = request
  try {
    const made: FileNode = provider.createFile(folder, name, creation(attachment, request))
    return { made, flags: flags & ~OPEN_FLAG.truncate }
  } catch (error) {
    const there = error instanceof FileError && error.code === 'EEXIST'
    if (!there || (flags & OPEN_FLAG.exclusive) !== 0) throw error
    return { made: provider.lookup(folder, name), flags }
  }
}

export function read(state: NinepState, request: Request<'Tread'>): Buffer {
  const fid = state.fids.get(request.fid)
  const count = Math.min(request.count, state.msize - DATA_HEADER_BYTES)
  if (fid.xattr !== null) return readXattr(fid.xattr.value, request, count)
  if (fid.kind === MODE.folder) throw new FileError('EISDIR')
  const reply = new DataReply('Rread', count)
  const file = fileOf(fid, fid.readable)
  const got = request.offset > Number.MAX_SAFE_INTEGER - count ? 0 : file.read(request.offset, reply.data)
  return reply.finish(request.tag, got)
}

function readXattr(value: Buffer, { tag, offset }: Request<'Tread'>, count: number): Buffer {
  return encode('Rread', tag, { data: value.subarray(Math.min(offset, value.length)).subarray(0, count) })
}

export function write(state: NinepState, request: Request<'Twrite'>): Buffer {
  const fid = state.fids.get(request.fid)
  const { data } = request
  if (fid.xattr !== null) writeXattr(fid, request)
  else {
    const file = fileOf(fid, fid.writable)
    const at = appends(fid) ? fid.provider.attributes(fid.live).size : request.offset
    if (at > Number.MAX_SAFE_INTEGER - data.length) throw new FileError('EFBIG')
    if (data.length > 0) file.write(at, data)
  }
  return encode('Rwrite', request.tag, { count: data.length })
}

function fileOf(fid: Fid, allowed: boolean) {
  if (fid.node === null) throw new FileError('ESTALE')
  if (fid.file === null || !allowed) throw new FileError('EBADF', 'it is not open for this')
  return fid.file
}

function writeXattr({ xattr }: Fid, { offset, data }: Request<'Twrite'>): void {
  const { value, writing } = xattr!
  if (writing === null) throw new FileError('EBADF')
  if (offset !== writing.filled || data.length > value.length - offset) throw new FileError('EINVAL')
  value.set(data, offset)
  writing.filled += data.length
}

/** Resolves when what was written outlives a failure of the host. */
export async function sync(state: NinepState, request: Request<'Tfsync'>): Promise<Buffer> {
  const fid = state.fids.get(request.fid)
  const done = fid.file === null ? fid.provider.flush() : fid.file.sync(request.dataOnly !== 0)
  await fid.during(done)
  return encode('Rfsync', request.tag, {})
}

/** Entries as the folder had them when it was read from the start, with their place in that list as cookie. */
export function readFolder(state: NinepState, request: Request<'Treaddir'>): Buffer {
  const fid = state.fids.get(request.fid)
  if (fid.flags === null) throw new FileError('EBADF', 'it is not open')
  const { offset, tag } = request
  const entries = state.fids.listing(fid, offset === 0)
  const count = Math.min(request.count, state.msize - DATA_HEADER_BYTES)
  const reply = new DataReply('Rreaddir', count)
  const { data } = reply
  let at = 0
  // '.' and '..' are the first two
  for (let index = offset; index < entries.length + 2; index++) {
    const { name, ino, kind } = index < 2 ? dotEntry(fid, index) : entries[index - 2]!
    if (at + ENTRY_BYTES + name.length > count) {
      if (at === 0) throw new FileError('EINVAL', 'no room for a single entry')
      break
    }
    at = writeQid(data, at, { kind: qidKind(kind), version: 0, path: ino })
    at = writeU64(data, at, index + 1)
    data[at] = kind >> 12
    at = writeText(data, at + 1, name)
  }
  return reply.finish(tag, at)
}

function dotEntry(fid: Fid, index: number) {
  if (index === 0) return { name: '.', ino: fid.ino, kind: MODE.folder }
  const { provider } = fid
  let { ino } = fid
  const above = provider.parent(fid.folder)
  try {
    ;({ ino } = provider.attributes(above))
  } finally {
    provider.drop(above)
  }
  return { name: '..', ino, kind: MODE.folder }
}

/** The new fid reads an attribute's value; with no name, the names of all, each with a NUL after it. */
export function readXattrs(state: NinepState, request: Request<'Txattrwalk'>): Buffer {
  const from = state.fids.get(request.fid)
  state.fids.checkFree(request.newFid)
  const { provider, live, name } = { provider: from.provider, live: from.live, name: request.name }
  const value =
    name === ''
      ? Buffer.from(
          provider
            .xattrs(live)
            .map((each) => `${each}\0`)
            .join(''),
          'latin1',
        )
      : Buffer.from(provider.xattr(live, xattrName(name)))
  if (value.length > XATTR_MOST) throw new FileError('ERANGE')
  const fid = new Fid(from.attachment, live, from.ino, from.kind, null)
  state.fids.setXattr(fid, { value, writing: null })
  provider.hold(live)
  state.fids.add(request.newFid, fid)
  return encode('Rxattrwalk', request.tag, { size: value.length })
}

/** The fid takes an attribute's value, which is set when it is clunked. */
export function startXattr(state: NinepState, request: Request<'Txattrcreate'>): Buffer {
  const fid = state.fids.get(request.fid)
  if (fid.opened) throw new FileError('EBADF', 'it is open already')
  if (request.size > XATTR_MOST) throw new FileError('ENOSPC')
  if ((request.flags & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) throw new FileError('EINVAL')
  const writing = { name: xattrName(request.name), flags: request.flags, filled: 0 }
  if (fid.node === null) throw new FileError('ESTALE')
  state.fids.setXattr(fid, { value: Buffer.alloc(request.size), writing })
  return encode('Rxattrcreate', request.tag, {})
}

function xattrName(name: string): string {
  if (name.length > 255) throw new FileError('ERANGE')
  if (name === '' || name.includes('\0')) throw new FileError('EINVAL')
  return name
}

/** What a read or write will move: not more than there is to read. 0 for other requests. */
export function bytesMoved(state: NinepState, fid: Fid, request: Request): number {
  if (request.message === 'Twrite') return request.data.length
  if (request.message !== 'Tread' || fid.file === null) return 0
  const left = fid.provider.attributes(fid.live).size - request.offset
  return Math.max(0, Math.min(request.count, state.msize - DATA_HEADER_BYTES, left))
}
