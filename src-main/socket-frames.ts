/** Bytes before each message: its length, u32 big-endian. */
const HEADER = 4

/** `message` with its length in front. */
export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(HEADER + message.byteLength)
  new DataView(framed.buffer).setUint32(0, message.byteLength)
  framed.set(message, HEADER)
  return framed
}

/**
 * Cuts a byte stream into messages of at most `limit` bytes and hands each to `receive`, which may keep it.
 * Throws a RangeError at the header of a longer one, before any of it is kept; the stream is then of no use.
 */
export function frameReader(limit: number, receive: (message: Uint8Array) => void): (bytes: Uint8Array) => void {
  let parts: Uint8Array[] = []
  let held = 0

  return (bytes) => {
    // a Buffer's own slice would not copy
    parts.push(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    held += bytes.byteLength
    for (;;) {
      if (held < HEADER) return
      const needed = HEADER + lengthAtFront()
      if (held < needed) return
      const all = joined()
      receive(all.slice(HEADER, needed))
      const rest = all.subarray(needed)
      parts = rest.byteLength === 0 ? [] : [rest]
      held = rest.byteLength
    }
  }

  function lengthAtFront(): number {
    if ((parts[0]?.byteLength ?? 0) < HEADER) parts = [joined()]
    const front = parts[0] as Uint8Array
    const length = new DataView(front.buffer, front.byteOffset, HEADER).getUint32(0)
    if (length > limit) throw new RangeError(`a message of ${length} bytes is over the limit of ${limit}`)
    return length
  }

  function joined(): Uint8Array {
    const only = parts[0]
    if (parts.length === 1 && only) return only
    const all = new Uint8Array(held)
    let offset = 0
    for (const part of parts) {
      all.set(part, offset)
      offset += part.byteLength
    }
    return all
  }
}
