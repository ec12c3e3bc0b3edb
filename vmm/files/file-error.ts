/** Linux's numbers of the errors that a file tree answers with; a guest sees them as they are. (asm-generic/errno.h) */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ESTALE: 116,
  EDQUOT: 122,
} as const
export type ErrnoName = keyof typeof ERRNO

/** What a file tree refuses a guest; `reason` is for the log, the guest gets the number. */
export class FileError extends Error {
  readonly number: number

  constructor(
    readonly code: ErrnoName,
    readonly reason = '',
    options?: ErrorOptions,
  ) {
    super(reason ? `${code}: ${reason}` : code, options)
    this.name = 'FileError'
    this.number = ERRNO[code]
  }
}
