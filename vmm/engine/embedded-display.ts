import * as v from 'valibot'
import { Duplex } from 'node:stream'
import { VmmError } from '../model/errors'
import type { Display } from './display'
import { PngMessage } from './embedded-messages'
import { VIEWER_WINDOW, type ToGuest } from './embedded-protocol'

/** Largest part of what a viewer says that is sent to the guest process at once, bytes. */
const MESSAGE_BYTES = 64 * 1024
/** A guest process that keeps to the protocol never has so much on its way to one viewer, bytes. */
const FLOOD_BYTES = VIEWER_WINDOW + 16 * 1024 * 1024

interface Ports {
  post(message: ToGuest): void
  /** Asks the guest process for a PNG file. */
  screenshot(): Promise<unknown>
  /** Why there is nothing to look at any more, or null. */
  ended(): VmmError | null
}

/** Main's end of an embedded machine's screen: one stream a viewer, whose far end is in the guest process. */
export class EmbeddedDisplay implements Display {
  readonly #viewers = new Map<number, ViewerStream>()
  #last = 0

  constructor(private readonly ports: Ports) {}

  async connect(): Promise<Duplex> {
    const ended = this.ports.ended()
    if (ended) throw ended
    const id = ++this.#last
    const viewer = new ViewerStream(id, (message) => this.ports.post(message))
    this.#viewers.set(id, viewer)
    viewer.once('close', () => {
      this.#viewers.delete(id)
      this.ports.post({ type: 'viewer-close', viewer: id })
    })
    this.ports.post({ type: 'viewer-open', viewer: id })
    return viewer
  }

  async screenshot(): Promise<Uint8Array> {
    const answer = v.safeParse(PngMessage, await this.ports.screenshot())
    if (answer.success) return answer.output
    throw new VmmError('engine', 'The guest process sent something that is no picture.', { hint: 'Try again.' })
  }

  said(id: number, bytes: Uint8Array): void {
    this.#viewers.get(id)?.say(bytes)
  }

  took(id: number, bytes: number): void {
    this.#viewers.get(id)?.took(bytes)
  }

  /** The guest process serves this viewer no longer. */
  closed(id: number, reason: string): void {
    this.#viewers.get(id)?.destroy(new VmmError('invalid', `The viewer was not understood: ${reason}.`))
  }

  /** The machine has ended. */
  end(error: VmmError): void {
    for (const viewer of this.#viewers.values()) viewer.destroy(error)
  }
}

class ViewerStream extends Duplex {
  /** Bytes from the guest process that the reader has not asked for yet; they are not acknowledged. */
  #unasked: Uint8Array[] = []
  #held = 0
  #asked = false
  #written: { left: number; done: (error?: Error) => void } | null = null

  constructor(
    private readonly id: number,
    private readonly post: (message: ToGuest) => void,
  ) {
    super({ readableHighWaterMark: MESSAGE_BYTES, writableHighWaterMark: MESSAGE_BYTES })
  }

  say(bytes: Uint8Array): void {
    if (this.destroyed) return
    this.#unasked.push(bytes)
    this.#held += bytes.byteLength
    if (this.#held > FLOOD_BYTES)
      this.destroy(new VmmError('engine', 'The guest process sent more than was asked for.'))
    else if (this.#asked) this.#pass()
  }

  took(bytes: number): void {
    const written = this.#written
    if (!written) return
    written.left -= bytes
    if (written.left > 0) return
    this.#written = null
    written.done()
  }

  override _read(): void {
    this.#asked = true
    this.#pass()
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#written = { left: chunk.byteLength, done }
    for (let at = 0; at < chunk.byteLength; at += MESSAGE_BYTES) {
      // a copy: a part of a pooled buffer would carry the whole pool across
      this.post({ type: 'viewer', viewer: this.id, bytes: Uint8Array.from(chunk.subarray(at, at + MESSAGE_BYTES)) })
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#unasked = []
    // a write under way would otherwise never be answered
    this.#written?.done(error ?? new VmmError('engine', 'The screen was closed.'))
    this.#written = null
    done(error)
  }

  #pass(): void {
    while (this.#asked) {
      const bytes = this.#unasked.shift()
      if (!bytes) return
      this.#held -= bytes.byteLength
      this.post({ type: 'viewer-taken', viewer: this.id, bytes: bytes.byteLength })
      this.#asked = this.push(bytes)
    }
  }
}
