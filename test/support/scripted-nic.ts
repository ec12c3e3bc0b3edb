import { createServer, type Server, type Socket } from 'node:net'
import { FrameSplitter, framed } from '../../vmm/net/frame-splitter'

/** A network card without a machine: it listens as an engine's does, sends what a test says, and keeps what it gets. */
export class ScriptedNic {
  /** Frames that came and were not taken yet, oldest first. */
  readonly frames: Buffer[] = []
  /** How often it was dialled. */
  dialled = 0
  #server: Server | null = null
  #socket: Socket | null = null
  #reading = true
  #wake: () => void = () => undefined

  constructor(readonly path: string) {}

  async listen(): Promise<this> {
    const server = createServer((socket) => this.#accept(socket))
    this.#server = server
    await new Promise<void>((resolve, reject) => server.on('error', reject).listen(this.path, resolve))
    return this
  }

  /** Resolves when the switch is at the other end. */
  async linked(): Promise<void> {
    while (!this.#socket) await this.#woken()
  }

  /** Sends frames in one write. */
  send(...frames: Uint8Array[]): void {
    this.sendBytes(Buffer.concat(frames.map(framed)))
  }

  /** Sends bytes as they are; false when the switch does not take them for now. */
  sendBytes(bytes: Buffer): boolean {
    if (!this.#socket) throw new Error('Nobody has dialled this card.')
    return this.#socket.write(bytes)
  }

  /** Resolves when the switch has taken everything that was sent. */
  async taken(): Promise<void> {
    while ((this.#socket?.writableLength ?? 0) > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }

  /** The first frame that `wanted` holds for, once it has come; it is taken, others stay. */
  async frame(wanted: (frame: Buffer) => boolean = () => true): Promise<Buffer> {
    for (;;) {
      const index = this.frames.findIndex(wanted)
      if (index >= 0) return this.frames.splice(index, 1)[0] as Buffer
      await this.#woken()
    }
  }

  stopReading(): void {
    this.#reading = false
    this.#socket?.pause()
  }

  startReading(): void {
    this.#reading = true
    this.#socket?.resume()
  }

  /** The guest's process ends, or begins to listen anew. */
  async close(): Promise<void> {
    const server = this.#server
    this.#server = null
    this.#socket?.destroy()
    this.#socket = null
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  #accept(socket: Socket): void {
    const splitter = new FrameSplitter()
    this.#socket = socket
    this.dialled++
    socket.on('data', (chunk) => {
      const whole = splitter.push(chunk, (buffer, at, end) => this.frames.push(Buffer.from(buffer.subarray(at, end))))
      if (!whole) throw new Error('The switch sent what are no frames.')
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null
    })
    if (!this.#reading) socket.pause()
    this.#wake()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#wake
      this.#wake = () => {
        before()
        resolve()
      }
    })
  }
}
