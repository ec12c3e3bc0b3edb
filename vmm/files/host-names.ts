import { isUtf8 } from 'node:buffer'
import { FileError } from './file-error'
import type { FileName } from './provider'

const NAME_MOST = 255
/** What means something else than a name to Windows: devices, streams, wildcards, ends that it cuts off. */
const WINDOWS_REFUSES =
  /[<>:"/\\|?*]|[^ -\xff]|[. ]$|^(?:con|prn|aux|nul|com[0-9\xb9\xb2\xb3]|lpt[0-9\xb9\xb2\xb3]|conin\$|conout\$)(?:\.|$)/i
/** Leads to the fork of a file on macOS. */
const MAC_REFUSES = /^\.\.namedfork$/i

/** Throws EINVAL or ENAMETOOLONG for what is no name of one thing in one folder of this host. */
export function checkName(name: FileName, platform: NodeJS.Platform = process.platform): void {
  if (name.length > NAME_MOST) throw new FileError('ENAMETOOLONG')
  const names = name !== '' && name !== '.' && name !== '..' && /^[^/\0\u0100-\uffff]+$/.test(name)
  if (!names || !isNameOf(platform, name)) throw new FileError('EINVAL', 'no name of a file on this host')
}

function isNameOf(platform: NodeJS.Platform, name: FileName): boolean {
  if (platform === 'win32') return !WINDOWS_REFUSES.test(name) && isUtf8(nameBytes(name))
  if (platform === 'darwin') return !MAC_REFUSES.test(name) && isUtf8(nameBytes(name))
  return true
}

export function nameBytes(name: FileName): Buffer {
  return Buffer.from(name, 'latin1')
}

/** ASCII letters in the other case; the same for a name without any. */
export function otherCase(name: FileName): FileName {
  return name.replace(/[a-z]/gi, (letter) => (letter < 'a' ? letter.toLowerCase() : letter.toUpperCase()))
}

/**
 * Whether a symbolic link may lead out of the share, read by the host from a folder `depth` steps below the top. One
 * that goes up only at its beginning and at most `depth` times stays inside, whatever other such links it comes by.
 */
export function leadsOut(target: string, depth: number): boolean {
  if (target.startsWith('/') || target.startsWith('\\') || /^[a-z]:/i.test(target)) return true
  const parts = target.split('/').filter((part) => part !== '' && part !== '.')
  const down = parts.findIndex((part) => part !== '..')
  const ups = down < 0 ? parts.length : down
  return ups > depth || parts.slice(ups).includes('..')
}
