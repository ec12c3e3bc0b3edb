/** One file of an archive. Paths are relative, without a leading slash; owner is root, times are 0. */
export type CpioEntry =
  | { kind: 'directory'; path: string; mode?: number }
  | { kind: 'file'; path: string; mode?: number; content: Uint8Array | string }
  | { kind: 'symlink'; path: string; target: string }
  | { kind: 'character-device'; path: string; mode?: number; major: number; minor: number }

/** File type bits of st_mode. */
const TYPE_BITS = { directory: 0o040000, file: 0o100000, symlink: 0o120000, 'character-device': 0o020000 }
const USUAL_MODE = { directory: 0o755, file: 0o644, symlink: 0o777, 'character-device': 0o600 }

/** The size field has eight hexadecimal digits. */
const CONTENT_LIMIT = 0xffff_ffff
const TRAILER = 'TRAILER!!!'

/**
 * A cpio archive in the newc format, as the Linux kernel unpacks it (buffer-format.rst in its documentation).
 * The same entries give the same bytes. Entries are written in the order given: a directory before its files.
 */
export function writeCpio(entries: Iterable<CpioEntry>): Buffer {
  const pieces: Buffer[] = []
  let inode = 1
  for (const entry of entries) {
    checkPath(entry.path)
    const content = contentOf(entry)
    if (content.length > CONTENT_LIMIT) throw new RangeError(`'${entry.path}' is too large for a cpio archive`)
    const mode = TYPE_BITS[entry.kind] | ('mode' in entry ? entry.mode : USUAL_MODE[entry.kind])
    const device = entry.kind === 'character-device' ? entry : { major: 0, minor: 0 }
    const links = entry.kind === 'directory' ? 2 : 1
    pieces.push(header(entry.path, { inode: inode++, mode, links, size: content.length, ...device }), padded(content))
  }
  pieces.push(header(TRAILER, { inode: 0, mode: 0, links: 1, size: 0, major: 0, minor: 0 }))
  return Buffer.concat(pieces)
}

interface HeaderFields {
  inode: number
  mode: number
  links: number
  size: number
  major: number
  minor: number
}

/**
 * Header and name: the magic, thirteen fields of eight hexadecimal digits, and the name with its NUL, filled up
 * to a multiple of four bytes.
 */
function header(name: string, { inode, mode, links, size, major, minor }: HeaderFields): Buffer {
  const nameBytes = Buffer.from(`${name}\0`)
  const [uid, gid, mtime, checksum] = [0, 0, 0, 0]
  const [ownMajor, ownMinor] = [0, 0]
  const fields = [
    inode,
    mode,
    uid,
    gid,
    links,
    mtime,
    size,
    ownMajor,
    ownMinor,
    major,
    minor,
    nameBytes.length,
    checksum,
  ]
  const digits = fields.map((field) => field.toString(16).padStart(8, '0')).join('')
  return padded(Buffer.concat([Buffer.from(`070701${digits}`), nameBytes]))
}

function contentOf(entry: CpioEntry): Buffer {
  if (entry.kind === 'symlink') return Buffer.from(entry.target)
  if (entry.kind !== 'file') return Buffer.alloc(0)
  return typeof entry.content === 'string' ? Buffer.from(entry.content) : Buffer.from(entry.content)
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % 4
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)])
}

function checkPath(path: string): void {
  const parts = path.split('/')
  if (path === TRAILER || path.includes('\0') || parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw new RangeError(`'${path}' cannot be a path in a cpio archive`)
  }
}
