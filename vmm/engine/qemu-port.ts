import { open, truncate } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import type { SerialPort } from './machine'
import { overlap } from './overlap'

/** Output kept until somebody listens, bytes. */
const KEPT_BYTES = 1024 * 1024
/** The console's log is emptied when it has grown to this, bytes: what it held is in main's memory. */
const LOG_BYTES = 4 * 1024 * 1024
const REDIAL_MS = 200
/** Input that the guest has not taken, bytes. */
const HELD_BACK_BYTES = 1024 * 1024

/** A serial port of a QEMU machine, which is a socket that can be dialled again. */
export class QemuPort implements SerialPort {
  readonly #listeners = new Set<(bytes: Uint8Array) => void>()
  #kept: Buffer[] = []
  #keptBytes = 0
  #logged = 0
  #socket: Socket | null = null
  #closed = false

  private constructor(
    private readonly path: string,
    private readonly log: string | null,
  ) {}

  /** `log` is the file that QEMU writes the port's output to as well, if it does. */
  static async open(path: string, log: string | null): Promise<QemuPort> {
    const port = new QemuPort(path, log)
    await port.#begin()
    return port
  }

  /** Begins with what the machine has written into `log` so far, as after an end of main. */
  static async openLogged(path: string, log: string): Promise<QemuPort> {
    const port = new QemuPort(path, log)
    await port.#begin()
    const { tail, size } = await tailOf(log)
    // QEMU writes to the socket first: what is in the log since dialling has come, and is but to be read
    for (let turns = 0; turns < 2; turns += 1) await new Promise((resolve) => setImmediate(resolve))
    const since = Buffer.concat(port.#kept)
    const before = tail.subarray(0, tail.length - overlap(tail, since))
    port.#kept = [before, since]
    port.#keptBytes = before.length + since.length
    port.#logged = size
    return port
  }

  /** What a guest does not read is held back up to a limit, and what is too much for that is lost, as on a real line. */
  write(bytes: Uint8Array): void {
    if (this.#socket && this.#socket.writableLength <= HELD_BACK_BYTES) this.#socket.write(bytes)
  }

  onData(receive: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(receive)
    const kept = this.#kept
    this.#kept = []
    this.#keptBytes = 0
    for (const bytes of kept) if (bytes.length > 0) receive(bytes)
    return () => this.#listeners.delete(receive)
  }

  close(): void {
    this.#closed = true
    this.#socket?.destroy()
  }

  async #begin(): Promise<void> {
    try {
      await this.#dial()
    } catch (error) {
      this.close()
      throw error
    }
  }

  #dial(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.path)
      this.#socket = socket
      socket.once('connect', () => resolve())
      socket.once('error', reject)
      socket.on('data', (bytes) => this.#take(bytes))
      socket.on('close', () => {
        if (!this.#closed) setTimeout(() => this.#redial(), REDIAL_MS).unref()
      })
    })
  }

  #redial(): void {
    if (!this.#closed) this.#dial().catch(() => undefined) // its closing tries again
  }

  #take(bytes: Buffer): void {
    if (this.log !== null) this.#trimLog(this.log, bytes.length)
    if (this.#listeners.size > 0) {
      for (const receive of this.#listeners) receive(bytes)
      return
    }
    this.#kept.push(bytes)
    this.#keptBytes += bytes.length
    while (this.#keptBytes > KEPT_BYTES) this.#keptBytes -= this.#kept.shift()?.length ?? this.#keptBytes
  }

  /** QEMU appends to it: emptied, it goes on from its beginning. */
  #trimLog(log: string, more: number): void {
    this.#logged += more
    if (this.#logged < LOG_BYTES) return
    this.#logged = 0
    truncate(log).catch(() => undefined) // it is gone with its machine
  }
}

async function tailOf(file: string): Promise<{ tail: Buffer; size: number }> {
  const handle = await open(file, 'r').catch(() => null)
  if (!handle) return { tail: Buffer.alloc(0), size: 0 }
  try {
    const { size } = await handle.stat()
    const length = Math.min(size, KEPT_BYTES)
    const tail = Buffer.alloc(length)
    const { bytesRead } = await handle.read(tail, 0, length, size - length)
    return { tail: tail.subarray(0, bytesRead), size }
  } finally {
    await handle.close()
  }
}
