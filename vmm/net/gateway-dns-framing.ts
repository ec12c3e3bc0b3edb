const LENGTH_BYTES = 2

/** A DNS message as it goes over TCP: with its length before it (RFC 1035, 4.2.2). */
export function lengthPrefixed(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(LENGTH_BYTES + message.length)
  framed.writeUInt16BE(message.length, 0)
  message.copy(framed, LENGTH_BYTES)
  return framed
}

/** Finds the messages in a stream of DNS over TCP; holds no more than one that is unfinished. */
export class MessageReader {
  private held: Buffer = Buffer.alloc(0)

  /** `most` is the longest message that is read. */
  constructor(private readonly most: number) {}

  /** The messages that `chunk` completes; null when one says that it is longer than any may be. */
  read(chunk: Uint8Array): Buffer[] | null {
    const messages: Buffer[] = []
    let bytes = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : Buffer.from(chunk)
    while (bytes.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + bytes.readUInt16BE(0)
      if (end - LENGTH_BYTES > this.most) return null
      if (bytes.length < end) break
      messages.push(bytes.subarray(LENGTH_BYTES, end))
      bytes = bytes.subarray(end)
    }
    this.held = bytes
    return messages
  }
}
