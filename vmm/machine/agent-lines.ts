/** Longest answer taken, characters: reads are made in pieces far below it. */
const LINE_LIMIT = 1024 * 1024
const NEWLINE = 0x0a
const SENTINEL = 0xff

/** Cuts a byte stream into lines; 0xFF starts a line afresh, and a line too long is dropped. */
export class LineReader {
  #parts: Buffer[] = []
  #length = 0
  #overlong = false

  push(bytes: Uint8Array): string[] {
    const lines: string[] = []
    let start = 0
    for (let at = 0; at < bytes.byteLength; at++) {
      const byte = bytes[at]
      if (byte !== NEWLINE && byte !== SENTINEL) continue
      this.#keep(bytes.subarray(start, at))
      if (byte === NEWLINE && !this.#overlong && this.#length > 0) lines.push(Buffer.concat(this.#parts).toString('utf8'))
      this.#clear()
      start = at + 1
    }
    this.#keep(bytes.subarray(start))
    return lines
  }

  #keep(part: Uint8Array): void {
    this.#length += part.byteLength
    if (this.#length > LINE_LIMIT) {
      this.#overlong = true
      this.#parts = []
    }
    if (!this.#overlong && part.byteLength > 0) this.#parts.push(Buffer.from(part))
  }

  #clear(): void {
    this.#parts = []
    this.#length = 0
    this.#overlong = false
  }
}
