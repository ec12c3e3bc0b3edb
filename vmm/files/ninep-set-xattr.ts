import { FileError } from './file-error'
import type { Fid } from './ninep-fids'

/** Flags of setxattr(2). */
export const XATTR_CREATE = 1
export const XATTR_REPLACE = 2

/** Sets what was written through the fid. Linux removes an attribute by replacing it with nothing. */
export function setXattr({ provider, live, xattr }: Fid): void {
  if (!xattr?.writing) return
  const { name, flags, filled } = xattr.writing
  if (filled !== xattr.value.length) throw new FileError('EINVAL', 'an attribute that was not wholly written')
  if (filled === 0 && flags === XATTR_REPLACE) provider.removeXattr(live, name)
  else provider.setXattr(live, name, xattr.value, mode(flags))
}

function mode(flags: number): 'either' | 'create' | 'replace' {
  if (flags === XATTR_CREATE) return 'create'
  return flags === XATTR_REPLACE ? 'replace' : 'either'
}
