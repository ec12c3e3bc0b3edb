/** Longest answer taken, characters: reads are made in pieces far below it. */
const LINE_LIMIT = 1024 * 1024
const NEWLINE = 0x0a
const SENTINEL = 0xff

/** Cuts a byte stream into lines; 0xFF starts a line afresh, and a line too long is dropped. */
export class LineReader {
  #line = Buffer.alloc(1024)
  #length = 0
  #overlong = false

  push(bytes: Uint8Array): string[] {
    const lines: string[] = []
    let start = 0
    for (let at = 0; at < bytes.byteLength; at++) {
      const byte = bytes[at]
      if (byte !== NEWLINE && byte !== SENTINEL) continue
      this.#keep(bytes.subarray(start, at))
      if (byte === NEWLINE && !this.#overlong && this.#length > 0)
        lines.push(this.#line.toString('utf8', 0, this.#length))
      this.#length = 0
      this.#overlong = false
      start = at + 1
    }
    this.#keep(bytes.subarray(start))
    return lines
  }

  #keep(part: Uint8Array): void {
    const length = this.#length + part.byteLength
    if (length > LINE_LIMIT) this.#overlong = true
    if (this.#overlong) return
    if (length > this.#line.length) this.#grow(length)
    this.#line.set(part, this.#length)
    this.#length = length
  }

  #grow(least: number): void {
    const larger = Buffer.alloc(Math.min(LINE_LIMIT, Math.max(least, this.#line.length * 2)))
    this.#line.copy(larger, 0, 0, this.#length)
    this.#line = larger
  }
}
