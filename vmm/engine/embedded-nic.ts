import { mkdir, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import path from 'node:path'
import type { V86 as Emulator } from 'v86'
import { FrameSplitter, framed } from '../net/frame-splitter'

/** Frames that the guest has sent and nobody has taken, bytes, at which the guest is held back. */
const FULL_BYTES = 1024 * 1024
/** Frames for the guest that it has no room for, at which no more are read. */
const FRAMES_WAITING = 64
/** Link status of virtio-net. (virtio 1.2, 5.1.4) */
const LINK_UP = 1

/** The part of v86's own interface that its typings leave out. */
type Bus = { bus: { send(name: string, value: unknown): void } }

/** What is used of v86's network card; the names are its own. */
interface VirtioNet {
  mac: Uint8Array
  status: number
  virtio: {
    queues: { is_configured(): boolean; has_request(): boolean }[]
    notify_config_changes(): void
  }
}

export interface EmbeddedNicOptions {
  /** Holds the guest back, as it sends more than is taken, or lets it go on. */
  hold(held: boolean): void
  /** There is something for the guest to do. */
  nudge(): void
}

/** The network card of an embedded guest: a socket that the switch dials, frames with their lengths in both directions. */
export class EmbeddedNic {
  framesIn = 0
  framesOut = 0
  #card: VirtioNet | null = null
  #bus: Bus['bus'] | null = null
  #socket: Socket | null = null
  #waiting: Buffer[] = []

  constructor(private readonly options: EmbeddedNicOptions) {}

  /**
   * Takes the card of a machine that has its state, for a state brings another address with it, and listens at `address`.
   * The cable is out until `setLink`.
   */
  async begin(emulator: Emulator, mac: string, address: string): Promise<void> {
    const { cpu } = (emulator as unknown as { v86: { cpu: { devices: { virtio_net: VirtioNet } } } }).v86
    this.#bus = (emulator as unknown as Bus).bus
    this.#card = cpu.devices.virtio_net
    this.#card.mac = Uint8Array.from(mac.split(':'), (part) => parseInt(part, 16))
    this.#card.status = 0
    emulator.add_listener('net0-send', (frame: Uint8Array) => this.#fromGuest(frame))
    await this.#listen(address)
  }

  setLink(up: boolean): void {
    if (!this.#card) return
    this.#card.status = up ? LINK_UP : 0
    this.#card.virtio.notify_config_changes()
    this.options.nudge()
  }

  /** Hands over what waited; to be called when the guest has run. */
  deliverWaiting(): void {
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const frame of waiting) this.#toGuest(frame)
    if (this.#waiting.length < FRAMES_WAITING) this.#socket?.resume()
  }

  async #listen(file: string): Promise<void> {
    if (process.platform !== 'win32') {
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
      await rm(file, { force: true })
    }
    const server = createServer((socket) => this.#connected(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(file, resolve)
    })
  }

  #connected(socket: Socket): void {
    this.#socket?.destroy() // whoever dials last is the switch
    this.#socket = socket
    const splitter = new FrameSplitter()
    socket.on('data', (chunk) => {
      const whole = splitter.push(chunk, (buffer, at, end) => this.#toGuest(buffer.subarray(at, end)))
      if (!whole) socket.destroy()
    })
    socket.on('drain', () => this.options.hold(false))
    socket.on('error', () => undefined) // its closing follows
    socket.on('close', () => {
      if (this.#socket !== socket) return
      this.#socket = null
      this.options.hold(false)
    })
  }

  #fromGuest(frame: Uint8Array): void {
    this.framesOut++
    const socket = this.#socket
    if (!socket) return
    socket.write(framed(frame))
    if (socket.writableLength > FULL_BYTES) this.options.hold(true)
  }

  /** v86 loses what it has no room for, so it waits here until the guest has made some. */
  #toGuest(frame: Buffer): void {
    const queue = this.#card?.virtio.queues[0]
    if (!queue?.is_configured()) return // the guest has no driver, or not yet
    if (this.#waiting.length > 0 || !queue.has_request()) {
      this.#waiting.push(frame)
      if (this.#waiting.length >= FRAMES_WAITING) this.#socket?.pause()
      this.options.nudge()
      return
    }
    this.framesIn++
    this.#bus?.send('net0-receive', frame)
    this.options.nudge()
  }
}
