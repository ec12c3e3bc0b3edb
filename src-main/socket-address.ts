import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ensurePrivateFolder } from './data-folder'

/** A socket path has at most 107 bytes on Linux and 103 on macOS, its final zero not counted. */
const PATH_LIMIT = 103

/** Where the main of `folder` listens: a Unix socket path, or the name of a pipe on Windows. */
export function socketAddress(folder: string, platform = process.platform, temporary = tmpdir()): string {
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 32)
  if (platform === 'win32') return `\\\\.\\pipe\\vivarium-${hash}`
  const path = join(folder, 'socket', 'main')
  return Buffer.byteLength(path) <= PATH_LIMIT ? path : join(temporary, `vivarium-${hash}`, 'main')
}

/** Makes sure that the folder of the socket is there, ours and private. */
export function ensureSocketFolder(address: string): void {
  if (!address.startsWith('\\\\')) ensurePrivateFolder(dirname(address))
}
