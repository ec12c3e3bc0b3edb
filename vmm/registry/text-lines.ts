import { VmmError } from '../model/errors'

/** Lines of a text file with their numbers, for parsers that must say where something is wrong. */
export class TextLines {
  /** Of the line that was returned last; from 1. */
  number = 0
  #at = 0

  constructor(
    private readonly text: string,
    private readonly file: string,
  ) {}

  /** The next line without its end, null at the end of the text. */
  next(): string | null {
    if (this.#at >= this.text.length) return null
    const found = this.text.indexOf('\n', this.#at)
    const end = found === -1 ? this.text.length : found
    const line = this.text.slice(this.#at, end > this.#at && this.text[end - 1] === '\r' ? end - 1 : end)
    this.#at = end + 1
    this.number++
    return line
  }

  /** Joins lines that end with '\' with those that follow, without spaces at the joints. */
  continued(line: string): string {
    if (!line.endsWith('\\')) return line
    const parts: string[] = []
    let part: string | null = line
    while (part?.endsWith('\\')) {
      parts.push(part.slice(0, -1).trim())
      part = this.next()
    }
    if (part !== null) parts.push(part.trim())
    return parts.join('')
  }

  wrong(what: string, cause?: unknown): VmmError {
    return new VmmError('invalid', `${this.file}, line ${this.number}: ${what}`, {
      hint: 'Nothing of the file was used.',
      context: { line: this.number, offset: this.#at },
      ...(cause === undefined ? {} : { cause }),
    })
  }
}
