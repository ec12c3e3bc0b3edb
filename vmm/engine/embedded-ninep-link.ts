import { connect, type Socket } from 'node:net'
import { NinepSplitter } from '../files/ninep-splitter'
import { MSIZE_MOST } from '../files/ninep-state'
import type { AskServer } from './embedded-ninep-replay'

/** A connection to the server of a machine's files. */
export class NinepLink {
  readonly #socket: Socket
  readonly #splitter = new NinepSplitter()
  #answer: ((reply: Uint8Array | null) => void) | null = null

  /** `closed` is called once, also when it never came about. */
  constructor(
    address: string,
    private readonly on: { connected(): void; reply(bytes: Uint8Array): void; closed(): void },
  ) {
    this.#socket = connect(address)
    this.#socket.on('connect', () => on.connected())
    this.#socket.on('data', (chunk) => this.#take(chunk))
    this.#socket.on('error', () => this.#socket.destroy())
    this.#socket.once('close', () => {
      this.#answer?.(null)
      on.closed()
    })
  }

  send(request: Uint8Array): void {
    this.#socket.write(request)
  }

  /** One request at a time, and only before others are sent. */
  readonly ask: AskServer = (request) =>
    new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve(null)
        return
      }
      this.#answer = (reply) => {
        this.#answer = null
        resolve(reply)
      }
      this.send(request)
    })

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#splitter.push(chunk)
    for (;;) {
      const reply = this.#splitter.next(MSIZE_MOST)
      if (reply === null) return
      if (reply === -1) {
        this.close()
        return
      }
      if (this.#answer === null) this.on.reply(reply)
      else this.#answer(reply)
    }
  }
}
