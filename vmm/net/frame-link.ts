import { connect, type Socket } from 'node:net'
import { FrameSplitter, type TakeFrame } from './frame-splitter'

/** Bytes on the way to a guest beyond which whoever can wait should. */
const ENOUGH_BYTES = 256 * 1024
/** … and beyond which the way is full. */
const FULL_BYTES = 1024 * 1024
const REDIAL_MS = 100
const LENGTH_BYTES = 4
/** Frames that are copied are gathered in pieces of this. */
const BATCH_BYTES = 64 * 1024
const SMALL_BATCH_BYTES = 2048

export interface FrameLinkOptions {
  /** The socket that the guest's network card listens on. */
  path: string
  onFrame: TakeFrame
  /** All frames of a chunk have been taken. */
  onChunkEnd(): void
  /** The way to the guest has room again. */
  onDrain(): void
}

/** A line to one network card, whatever it is made of. */
export type FrameLine = Pick<
  FrameLink,
  'linked' | 'isFull' | 'hasRoom' | 'write' | 'send' | 'pause' | 'resume' | 'close'
>
export type OpenLine = (options: FrameLinkOptions) => FrameLine

/** The line to one network card: dialled, and dialled again as long as the card may come back. */
export class FrameLink {
  #socket: Socket | null = null
  #linked = false
  #closed = false
  #paused = false
  #redial: NodeJS.Timeout | undefined
  /** Frames gathered for one write. */
  #batch: Buffer | null = null
  #filled = 0

  constructor(private readonly options: FrameLinkOptions) {
    this.#dial()
  }

  get linked(): boolean {
    return this.#linked
  }

  get isFull(): boolean {
    return this.#linked && (this.#socket?.writableLength ?? 0) > FULL_BYTES
  }

  /** Whether somebody who can wait should go on sending. */
  get hasRoom(): boolean {
    return !this.#linked || (this.#socket?.writableLength ?? 0) < ENOUGH_BYTES
  }

  /** Sends frames with their lengths before them; they are lost where nobody is at the other end. */
  write(frames: Buffer): void {
    this.#flush()
    if (this.#linked) this.#socket?.write(frames)
  }

  /** Sends a copy of one frame; those of one turn of the event loop go together. */
  send(buffer: Buffer, at: number, end: number): void {
    const length = end - at
    if (!this.#linked) return
    if (this.#batch === null || this.#filled + LENGTH_BYTES + length > this.#batch.length) {
      // a lone frame is not worth a large piece
      const bytes = this.#batch === null ? SMALL_BATCH_BYTES : BATCH_BYTES
      if (this.#batch === null) process.nextTick(() => this.#flush())
      this.#flush()
      this.#batch = Buffer.allocUnsafe(Math.max(bytes, LENGTH_BYTES + length))
      this.#filled = 0
    }
    this.#batch.writeUInt32BE(length, this.#filled)
    buffer.copy(this.#batch, this.#filled + LENGTH_BYTES, at, end)
    this.#filled += LENGTH_BYTES + length
  }

  /** Holds the guest's own frames back; QEMU then stops taking them from the guest. */
  pause(): void {
    this.#paused = true
    this.#socket?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket?.resume()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#redial)
    this.#socket?.destroy()
  }

  #flush(): void {
    const batch = this.#batch
    if (batch === null) return
    this.#batch = null
    if (this.#linked) this.#socket?.write(batch.subarray(0, this.#filled))
  }

  #dial(): void {
    const { path, onFrame, onChunkEnd, onDrain } = this.options
    const splitter = new FrameSplitter()
    const socket = connect(path)
    this.#socket = socket
    socket.on('connect', () => {
      this.#linked = true
      if (this.#paused) socket.pause()
    })
    socket.on('data', (chunk) => {
      const whole = splitter.push(chunk, onFrame)
      onChunkEnd()
      if (!whole) socket.destroy()
    })
    socket.on('drain', onDrain)
    socket.on('error', () => undefined) // its closing follows
    socket.on('close', () => {
      if (this.#linked) {
        this.#linked = false
        onDrain()
      }
      if (!this.#closed) this.#redial = setTimeout(() => this.#dial(), REDIAL_MS)
    })
  }
}
