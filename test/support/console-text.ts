import { setTimeout as delay } from 'node:timers/promises'
import type { Call } from './vivarium'

// escape sequences of ECMA-48 (CSI …, OSC …, two characters), and what moves or rings
// eslint-disable-next-line no-control-regex -- matching control characters is the purpose
const ESCAPES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]/g

/** What a guest has written to its serial console, followed from where it is read first. */
export class ConsoleText {
  #offset = 0
  #raw = ''

  constructor(
    private readonly call: Call,
    private readonly id: string,
  ) {}

  /** Leaves out what was written until now, as in earlier runs. */
  async skip(): Promise<this> {
    this.#offset = (await this.call('console.read', { id: this.id, offset: 0 })).end
    return this
  }

  /** All so far, without escape sequences. */
  get text(): string {
    return this.#raw.replace(ESCAPES, '')
  }

  /** Waits until `pattern` is in what came after the last match; what matched, and what was before it, is forgotten. */
  async expect(pattern: RegExp, withinMs = 240_000): Promise<string> {
    const deadline = Date.now() + withinMs
    for (;;) {
      const found = pattern.exec(this.text)
      if (found) {
        this.#raw = this.text.slice(found.index + found[0].length)
        return found[0]
      }
      if (Date.now() > deadline) throw new Error(`no ${pattern} in: …${this.text.slice(-2000)}`)
      await this.#more()
    }
  }

  async type(text: string): Promise<void> {
    await this.call('console.write', { id: this.id, bytes: Buffer.from(text) })
  }

  async #more(): Promise<void> {
    const chunk = await this.call('console.read', { id: this.id, offset: this.#offset, waitMs: 2000 })
    this.#offset = chunk.offset + chunk.bytes.byteLength
    this.#raw += Buffer.from(chunk.bytes).toString('latin1')
    if (chunk.bytes.byteLength === 0) await delay(50) // a machine that has ended answers at once
  }
}
