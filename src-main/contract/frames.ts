import { decode, encode } from '@msgpack/msgpack'

/** Largest message either side of a byte transport accepts, bytes. */
export const MESSAGE_LIMIT = 4 * 1024 * 1024

/** A message as bytes (MessagePack): plain data, with Uint8Array kept as such. */
export function encodeMessage(message: unknown): Uint8Array {
  return encode(message, { ignoreUndefined: true })
}

/** The message in `bytes`. Throws on anything that is not one, or is too large. */
export function decodeMessage(bytes: Uint8Array): unknown {
  if (bytes.byteLength > MESSAGE_LIMIT) throw new RangeError(`a message of ${bytes.byteLength} bytes is too large`)
  return decode(bytes, {
    maxBinLength: MESSAGE_LIMIT,
    maxStrLength: MESSAGE_LIMIT,
    maxArrayLength: 100_000,
    maxMapLength: 100_000,
  })
}
