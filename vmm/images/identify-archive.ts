import { constants, gunzipSync } from 'node:zlib'
import { VmmError } from '../model/errors'
import type { FileFacts, Identity } from './file-facts'

/** Compressions the Linux kernel unpacks an initrd from (Linux: lib/decompress.c); lz4 in its legacy framing only. */
const COMPRESSIONS: readonly [magic: string, name: string][] = [
  ['1f8b', 'gzip'],
  ['fd377a585a00', 'xz'],
  ['28b52ffd', 'zstd'],
  ['02214c18', 'lz4'],
  ['425a68', 'bzip2'],
  ['5d0000', 'lzma'],
  ['894c5a4f000d0a1a0a', 'lzo'],
]

/** Names of compressed disks and CDs, such as 'alpine.iso.xz', but not 'initrd.img.xz'. */
const COMPRESSED_IMAGE =
  /(\.(iso|raw|dd|hdd|vmdk|vdi|vhdx?|qcow2?|ima|flp)|^(?!.*(initrd|initramfs|initrfs)).*\.img)\.[a-z0-9]+$/i

/** An initrd: a cpio archive, plain or compressed. */
export function identifyArchive(facts: FileFacts): Identity | undefined {
  const { head, name } = facts
  if (isCpio(head)) return { role: 'initrd', detail: 'initrd, a cpio archive' }
  const compression = COMPRESSIONS.find(([magic]) => head.toString('hex', 0, magic.length / 2) === magic)?.[1]
  if (compression === undefined) return undefined
  const inside = compression === 'gzip' ? gunzipStart(head) : undefined
  const isInitrd = inside === undefined ? !COMPRESSED_IMAGE.test(name) : isCpio(inside)
  if (isInitrd) return { role: 'initrd', detail: `initrd, compressed with ${compression}` }
  throw new VmmError('unsupported', `'${name}' is compressed with ${compression} and holds no initrd.`, {
    hint: 'Decompress it first and import what is inside.',
  })
}

/** newc with or without checksums: the magic and twelve hexadecimal fields. */
function isCpio(bytes: Buffer): boolean {
  return /^07070[12][0-9a-f]{104}/i.test(bytes.toString('latin1', 0, 110))
}

/** The first bytes of what is inside; empty when that cannot be unpacked. */
function gunzipStart(head: Buffer): Buffer {
  try {
    // the head of a longer stream ends early: what can be unpacked of it is enough
    return gunzipSync(head.subarray(0, 4096), { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 8 * 1024 * 1024 })
  } catch {
    return Buffer.alloc(0)
  }
}
