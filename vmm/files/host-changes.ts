import fs from 'node:fs'
import { FileError } from './file-error'
import { leadsOut } from './host-names'
import { kindOf, type HostNode } from './host-node'
import { HostOpenFile } from './host-open-file'
import type { HostReach } from './host-reach'
import { MODE, type AttributeChange, type FileTime } from './provider'

/** What a program of the host would run as somebody else. */
const SET_ID = 0o6000
/** What is looked through for links before a folder moves up. */
const MOVED_ENTRIES_MOST = 20_000

/** The permissions that something new gets. Throws EPERM for set-user-id and set-group-id. */
export function safePermissions(mode: number): number {
  if ((mode & SET_ID) !== 0) throw new FileError('EPERM', 'files that run as their owner are not made on the host')
  return mode & MODE.permissions
}

export function changeAttributes(reach: HostReach, node: HostNode, change: AttributeChange): void {
  const stats = reach.stat(node)
  const { mode, uid, gid, size, accessed, modified } = change
  const owner = (uid ?? Number(stats.uid)) === Number(stats.uid) && (gid ?? Number(stats.gid)) === Number(stats.gid)
  if (!owner) throw new FileError('EPERM', 'owners of files of the host stay as they are')
  if (mode !== undefined && (mode & SET_ID & ~Number(stats.mode)) !== 0) safePermissions(mode)
  if (node.kind === MODE.link && mode !== undefined) throw new FileError('EOPNOTSUPP', 'links have no permissions')
  if (size !== undefined) truncate(reach, node, size)
  if (mode !== undefined) reach.file(node, (path) => fs.chmodSync(path, mode & MODE.permissions))
  if (accessed === undefined && modified === undefined) return
  const now = Date.now() / 1000
  const times = [secondsOf(accessed, stats.atimeNs, now), secondsOf(modified, stats.mtimeNs, now)] as const
  if (node.kind === MODE.link) fs.lutimesSync(namedPath(reach, node), ...times)
  else reach.file(node, (path) => fs.utimesSync(path, ...times))
}

function secondsOf(time: FileTime | 'now' | undefined, before: bigint, now: number): number {
  if (time === 'now') return now
  return time ? time.sec + time.nsec / 1e9 : Number(before) / 1e9
}

/** Opens a regular file and nothing else, which for anything else could do something on the host. */
export function openRegular(reach: HostReach, node: HostNode, write: boolean, written: () => void): HostOpenFile {
  if (node.kind === MODE.folder) throw new FileError('EISDIR')
  if (node.kind === MODE.link) throw new FileError('ELOOP')
  if (node.kind !== MODE.file) throw new FileError('ENXIO', 'devices, fifos and sockets of the host are not opened')
  return reach.file(node, (path) => {
    const fd = fs.openSync(path, write ? fs.constants.O_RDWR : fs.constants.O_RDONLY)
    try {
      const stats = node.check(fs.fstatSync(fd, { bigint: true }))
      if (write && (Number(stats.mode) & SET_ID) !== 0) throw new FileError('EPERM', 'runs as its owner on the host')
      return new HostOpenFile(fd, written)
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
  })
}

function truncate(reach: HostReach, node: HostNode, size: number): void {
  if (!Number.isSafeInteger(size)) throw new FileError('EFBIG')
  const file = openRegular(reach, node, true, () => undefined)
  try {
    file.resize(size)
  } finally {
    file.close()
  }
}

/** Throws EPERM where a link at `depth` would lead a program of the host out of the share. */
export function checkLink(target: string, depth: number): void {
  if (!/^[^\0\u0100-\uffff]*$/.test(target)) throw new FileError('EINVAL', 'no text of a link')
  if (leadsOut(target, depth)) throw new FileError('EPERM', 'a link of the host stays within the share')
}

/** Where a thing, not a folder, has its name. Throws ESTALE when it has none any more. */
export function namedPath(reach: HostReach, node: HostNode): Buffer {
  if (!node.parent) throw new FileError('EPERM')
  const path = reach.entry(node.parent, node.name)
  node.check(fs.lstatSync(path, { bigint: true, throwIfNoEntry: false }))
  return path
}

export function readLinkText(reach: HostReach, node: HostNode): string {
  return linkTextAt(namedPath(reach, node))
}

export function linkTextAt(path: Buffer): string {
  return fs.readlinkSync(path, 'buffer').toString('latin1')
}

/**
 * A folder that moves up takes links along that may then lead out: it is looked through, and refused with EXDEV (on
 * which programs copy instead, link by link) if there is one, or too much to look through.
 */
export function checkMovedLinks(top: Buffer, depth: number): void {
  let left = MOVED_ENTRIES_MOST
  const open: { path: Buffer; depth: number }[] = [{ path: top, depth }]
  for (let at = open.pop(); at; at = open.pop())
    for (const entry of fs.readdirSync(at.path, { withFileTypes: true, encoding: 'buffer' })) {
      const path = Buffer.concat([at.path, Buffer.from('/'), entry.name])
      const kind = kindOf(fs.lstatSync(path, { bigint: true }))
      const leaves = kind === MODE.link && leadsOut(linkTextAt(path), at.depth)
      if (left-- === 0 || leaves) throw new FileError('EXDEV', 'it has links that would lead out of the share')
      if (kind === MODE.folder) open.push({ path, depth: at.depth + 1 })
    }
}
