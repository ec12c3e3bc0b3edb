/** Numbers of the NBD protocol. (github.com/NetworkBlockDevice/nbd: doc/proto.md) */
export const MAGIC = 0x4e42444d41474943n // NBDMAGIC
export const OPTION_MAGIC = 0x49484156454f5054n // IHAVEOPT
export const OPTION_REPLY_MAGIC = 0x3e889045565a9n
export const REQUEST_MAGIC = 0x25609513
export const REPLY_MAGIC = 0x67446698

/** Of the handshake: fixed newstyle, and no zeros behind the export. */
export const HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const
export const OPTION = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const
export const OPTION_REPLY = {
  acknowledge: 1,
  server: 2,
  info: 3,
  unsupported: 0x80000001,
  invalid: 0x80000003,
  unknown: 0x80000006,
} as const
export const INFO = { export: 0, blockSize: 3 } as const
export const TRANSMISSION = {
  hasFlags: 1,
  flush: 4,
  fua: 8,
  trim: 32,
  writeZeroes: 64,
  multipleConnections: 256,
} as const
export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6 } as const
export const COMMAND_FUA = 1
export const NBD_ERROR = { none: 0, io: 5, invalid: 22, noSpace: 28, shutdown: 108 } as const

/** The largest payload of one request, bytes. */
export const PAYLOAD_MOST = 32 * 1024 * 1024
/** Sizes are told in these, bytes: at least, best. */
export const BLOCK_LEAST = 512
export const BLOCK_BEST = 16 * 1024
export const REQUEST_BYTES = 28
export const REPLY_BYTES = 16
