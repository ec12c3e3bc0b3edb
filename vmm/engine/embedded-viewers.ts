import { encodePng } from './png'
import { VIEWER_WINDOW, type FromGuest } from './embedded-protocol'
import type { Framebuffer } from './framebuffer'
import { RfbServer, type ViewerInput } from './rfb-server'

/** Shortest time between two looks at the screen, milliseconds. */
const FRAME_MS = 40
/** Largest message to main, bytes. */
const MESSAGE_BYTES = 256 * 1024

interface Viewer {
  server: RfbServer
  input: ViewerInput & { release(): void }
  /** Bytes on their way to main. */
  inFlight: number
}

interface ViewersOptions {
  screen: { readonly framebuffer: Framebuffer; refresh(): void }
  newInput(): ViewerInput & { release(): void }
  send(message: FromGuest): void
}

/** Everybody who looks at the screen of this guest. While nobody does, nothing here runs. */
export class EmbeddedViewers {
  readonly #viewers = new Map<number, Viewer>()
  #timer: NodeJS.Timeout | null = null
  #lastLook = -Infinity

  constructor(private readonly options: ViewersOptions) {}

  open(id: number): void {
    const { screen, newInput } = this.options
    // its first words tell the size
    screen.refresh()
    const input = newInput()
    const send = (bytes: Uint8Array): void => this.#send(id, bytes)
    const server = new RfbServer(screen.framebuffer, input, send, () => this.#lookSoon())
    this.#viewers.set(id, { server, input, inFlight: 0 })
    server.begin()
  }

  /** Takes what a viewer sent; main may send as much again. */
  receive(id: number, bytes: Uint8Array): void {
    const viewer = this.#viewers.get(id)
    if (!viewer) return
    const refusal = viewer.server.receive(bytes)
    if (refusal === '') this.options.send({ type: 'viewer-took', viewer: id, bytes: bytes.byteLength })
    else this.#drop(id, refusal)
  }

  /** Main has taken this many more bytes. */
  taken(id: number, bytes: number): void {
    const viewer = this.#viewers.get(id)
    if (!viewer) return
    viewer.inFlight -= bytes
    this.#lookSoon()
  }

  close(id: number): void {
    const viewer = this.#viewers.get(id)
    if (!viewer) return
    this.#viewers.delete(id)
    viewer.server.close()
    viewer.input.release()
  }

  async screenshot(): Promise<Uint8Array> {
    this.options.screen.refresh()
    return await encodePng(this.options.screen.framebuffer)
  }

  /** Viewers that wait for an update and have taken what was sent to them before. */
  #waiting(): [number, Viewer][] {
    return [...this.#viewers].filter(([, { server, inFlight }]) => server.waiting && inFlight < VIEWER_WINDOW)
  }

  #drop(id: number, reason: string): void {
    if (!this.#viewers.has(id)) return
    this.close(id)
    this.options.send({ type: 'viewer-closed', viewer: id, reason })
  }

  #lookSoon(): void {
    if (this.#timer !== null || this.#waiting().length === 0) return
    const since = performance.now() - this.#lastLook
    this.#timer = setTimeout(() => this.#look(), Math.max(0, FRAME_MS - since))
  }

  #look(): void {
    this.#timer = null
    this.#lastLook = performance.now()
    const waiting = this.#waiting()
    if (waiting.length > 0) this.options.screen.refresh()
    for (const [id, { server }] of waiting) {
      server.update().catch((error: unknown) => this.#drop(id, `its picture could not be made (${String(error)})`))
    }
    this.#lookSoon()
  }

  #send(id: number, bytes: Uint8Array): void {
    const viewer = this.#viewers.get(id)
    if (!viewer) return
    viewer.inFlight += bytes.byteLength
    for (let at = 0; at < bytes.byteLength; at += MESSAGE_BYTES) {
      this.options.send({ type: 'viewer', viewer: id, bytes: bytes.slice(at, at + MESSAGE_BYTES) })
    }
  }
}
