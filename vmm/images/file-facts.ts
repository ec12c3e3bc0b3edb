import { VmmError } from '../model/errors'
import type { ImageRole } from '../model/image'
import type { DiskFormat } from './block-source'

/** What is converted to a raw disk, or several, when it is taken in. */
export type ForeignFormat = Exclude<DiskFormat, 'raw'> | 'ova'

/** What is known of a file: its size, and as much of both ends as was read. */
export interface FileFacts {
  /** For messages; already safe to show. */
  name: string
  bytes: number
  head: Buffer
  /** The last bytes, up to 512. */
  tail: Buffer
}

export interface Identity {
  role: ImageRole
  /** What it is, for people. */
  detail: string
  /** Left out for what is taken as it is. */
  format?: ForeignFormat
}

/** For files that end too early. */
export function truncated({ name, bytes }: FileFacts, what: string, expected: number): VmmError {
  return new VmmError(
    'invalid',
    `'${name}' is cut off: the ${what} should have ${expected} bytes, the file has ${bytes}.`,
    {
      hint: 'Download or copy the file again and compare its checksum.',
      context: { bytes, expected },
    },
  )
}
