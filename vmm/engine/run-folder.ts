import { createHash } from 'node:crypto'
import { lstat, mkdir, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import path from 'node:path'
import { VmmError } from '../model/errors'

/** The path of a socket may have 107 bytes on Linux and 103 on macOS. */
const SOCKET_PATH_LIMIT = 103
const LONGEST_SOCKET = 'console.sock'

/**
 * Where a machine's sockets, records and logs are: in `root`, under its domain's id, or, where that is too long for a
 * socket, in a private temporary folder whose name follows from it. Fails with kind `denied` when that is not ours.
 */
export async function runFolder(root: string, domainId: string): Promise<string> {
  const folder = path.join(root, domainId)
  if (Buffer.byteLength(path.join(folder, LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT) return folder
  const place = placeOf(folder)
  await mkdir(place, { mode: 0o700 }).catch(() => undefined) // it is there: whose it is, is looked at below
  const found = await lstat(place)
  const ours = process.platform === 'win32' || (found.uid === userInfo().uid && (found.mode & 0o077) === 0)
  if (found.isDirectory() && ours) return path.join(place, 'run')
  throw new VmmError('denied', 'The temporary folder for the machine belongs to somebody else.', {
    hint: 'Choose a data folder with a shorter path.',
    context: { place },
  })
}

/** The socket of a network card: frames with a length of 32 bits before each. Its name in the machine's folder. */
export const nicSocket = (index: number): string => `net${index}.sock`

/** Where the switch finds a network card of the machine in `folder`. Windows has pipes of that kind outside of folders only. */
export function nicAddress(folder: string, index: number): string {
  return socketAddress(folder, nicSocket(index))
}

/** The socket of the card for files, framed likewise. */
export const FILES_CARD_SOCKET = 'files.net'

/** Where the file process finds the card for files of the machine in `folder`. */
export function filesCardAddress(folder: string): string {
  return socketAddress(folder, FILES_CARD_SOCKET)
}

function socketAddress(folder: string, name: string): string {
  if (process.platform !== 'win32') return path.join(folder, name)
  return `\\\\.\\pipe\\vivarium-${hashOf(folder)}-${name}`
}

/** The socket of the server of a machine's files, in its folder. */
export const FILES_SOCKET = 'files.sock'

/** Where a machine in `folder` finds the server of its files, and the server listens. */
export function filesAddress(folder: string): string {
  if (process.platform !== 'win32') return path.join(folder, FILES_SOCKET)
  return `\\\\.\\pipe\\vivarium-${hashOf(folder)}-${FILES_SOCKET}`
}

/** The socket of the server of a machine's disks, in its folder; there before the machine is. */
export const DISKS_SOCKET = 'disks.sock'

/** Where a machine in `folder` finds the disks that are not its engine's, over NBD. */
export function disksAddress(folder: string): string {
  return socketAddress(folder, DISKS_SOCKET)
}

/** Removes all that there is of a machine's folder. */
export async function removeRunFolder(root: string, domainId: string): Promise<void> {
  const folder = path.join(root, domainId)
  const used = await runFolder(root, domainId).catch(() => folder) // one of somebody else's is left to them
  if (used !== folder) await rm(path.dirname(used), { recursive: true, force: true })
  await rm(folder, { recursive: true, force: true })
}

function placeOf(folder: string): string {
  return path.join(tmpdir(), `vivarium-run-${hashOf(folder)}`)
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 24)
}
