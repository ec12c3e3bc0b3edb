import { setTimeout as delay } from 'node:timers/promises'
import type { Call } from './vivarium'

export const ENCODINGS = { raw: 0, tight: 7, zrle: 16 } as const
export type Encoding = keyof typeof ENCODINGS
/** The pseudo-encoding by which a server tells a new size. */
const DESKTOP_SIZE = -223
const SHIFT = 0xffe1
const RETURN = 0xff0d
/** What is typed with Shift on a US keyboard. */
const SHIFTED = /[A-Z~!@#$%^&*()_+{}|:"<>?]/
const KEY_EVERY_MS = 80
const READ_WAIT_MS = 5000

/** One message of the server that changes the picture. */
export interface ScreenUpdate {
  /** Pixels in its rectangles. */
  pixels: number
  /** Bytes on the wire. */
  bytes: number
}

/** Bytes both ways between a viewer and a server. */
export interface ScreenWire {
  write(bytes: Buffer): Promise<unknown>
  /** The next bytes; none when there were none for a while. Fails when the server has gone. */
  read(): Promise<Uint8Array>
  close(): Promise<unknown>
}

/** The display calls, as every client of main uses them. */
export async function screenByCalls(call: Call, id: string): Promise<ScreenWire> {
  const { displayId } = await call('display.open', { id })
  return {
    write: (bytes) => call('display.write', { displayId, bytes }),
    read: async () => {
      const { bytes, closed, reason } = await call('display.read', { displayId, waitMs: READ_WAIT_MS })
      if (closed) throw new Error(`the screen was closed: ${reason}`)
      return bytes
    },
    close: () => call('display.close', { displayId }),
  }
}

/** A viewer of the remote framebuffer protocol 3.8 (RFC 6143), for tests. */
export class ScreenViewer {
  width = 0
  height = 0
  #pending = Buffer.alloc(0)
  #taken = 0

  private constructor(private readonly wire: ScreenWire) {}

  /** Opens a viewer on the screen of a running domain, which asks for 32-bit pixels in this encoding. */
  static async open(call: Call, id: string, encoding: Encoding = 'raw'): Promise<ScreenViewer> {
    return await ScreenViewer.over(await screenByCalls(call, id), encoding)
  }

  static async over(wire: ScreenWire, encoding: Encoding): Promise<ScreenViewer> {
    const viewer = new ScreenViewer(wire)
    await viewer.#greet(encoding)
    return viewer
  }

  close(): Promise<unknown> {
    return this.wire.close()
  }

  /** Types as on a US keyboard, `\r` for Return, no faster than a keyboard's buffer of some keys can take. */
  async type(text: string): Promise<void> {
    for (const character of text) {
      const shifted = SHIFTED.test(character)
      const keysym = character === '\r' ? RETURN : character.charCodeAt(0)
      if (shifted) await this.#key(SHIFT, true)
      await this.#key(keysym, true)
      await this.#key(keysym, false)
      if (shifted) await this.#key(SHIFT, false)
      await delay(KEY_EVERY_MS)
    }
  }

  /** Asks for what has changed, or for everything, and waits until it is here. */
  async update(incremental: boolean): Promise<ScreenUpdate> {
    const request = Buffer.alloc(10)
    request[0] = 3
    request[1] = incremental ? 1 : 0
    request.writeUInt16BE(this.width, 6)
    request.writeUInt16BE(this.height, 8)
    await this.#send(request)
    return await this.#readUpdate()
  }

  async #greet(encoding: Encoding): Promise<void> {
    const version = await this.#take(12)
    if (version.toString() !== 'RFB 003.008\n') throw new Error(`the server speaks ${version.toString()}`)
    await this.#send(version)
    const kinds = await this.#take((await this.#take(1)).readUInt8(0))
    if (!kinds.includes(1)) throw new Error('the server asks for a password')
    await this.#send(Buffer.of(1))
    if ((await this.#take(4)).readUInt32BE(0) !== 0) throw new Error('the server refuses')
    await this.#send(Buffer.of(1))
    const init = await this.#take(24)
    this.width = init.readUInt16BE(0)
    this.height = init.readUInt16BE(2)
    await this.#take(init.readUInt32BE(20))
    // 32 bits a pixel, 24 of them used, little-endian, true colour, blue lowest
    await this.#send(Buffer.of(0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0))
    const encodings = Buffer.alloc(12)
    encodings[0] = 2
    encodings.writeUInt16BE(2, 2)
    encodings.writeInt32BE(ENCODINGS[encoding], 4)
    encodings.writeInt32BE(DESKTOP_SIZE, 8)
    await this.#send(encodings)
  }

  async #readUpdate(): Promise<ScreenUpdate> {
    const begun = this.#taken
    for (;;) {
      const type = (await this.#take(1)).readUInt8(0)
      if (type === 2) continue // a bell
      if (type !== 0) throw new Error(`a message of type ${type} was not expected`)
      const rectangles = (await this.#take(3)).readUInt16BE(1)
      let pixels = 0
      for (let index = 0; index < rectangles; index++) pixels += await this.#readRectangle()
      return { pixels, bytes: this.#taken - begun }
    }
  }

  async #readRectangle(): Promise<number> {
    const header = await this.#take(12)
    const [width, height] = [header.readUInt16BE(4), header.readUInt16BE(6)]
    const encoding = header.readInt32BE(8)
    if (encoding === DESKTOP_SIZE) {
      ;[this.width, this.height] = [width, height]
      return 0
    }
    if (encoding === ENCODINGS.raw) await this.#take(width * height * 4)
    else if (encoding === ENCODINGS.zrle) await this.#take((await this.#take(4)).readUInt32BE(0))
    else if (encoding === ENCODINGS.tight) await this.#skipTight(width, height)
    else throw new Error(`a rectangle of encoding ${encoding} was not expected`)
    return width * height
  }

  /** See the community's RFB specification, 7.7.5: fill, or filtered data that zlib packs from 12 bytes on. */
  async #skipTight(width: number, height: number): Promise<void> {
    const control = (await this.#take(1)).readUInt8(0)
    if (control >> 4 === 8) {
      await this.#take(3)
      return
    }
    if (control >> 4 === 9) {
      await this.#take(await this.#compactLength())
      return
    }
    const filter = (control & 0x40) === 0 ? 0 : (await this.#take(1)).readUInt8(0)
    const colours = filter === 1 ? (await this.#take(1)).readUInt8(0) + 1 : 0
    await this.#take(colours * 3)
    const rowBytes = colours === 0 ? width * 3 : colours === 2 ? Math.ceil(width / 8) : width
    const bytes = rowBytes * height
    await this.#take(bytes < 12 ? bytes : await this.#compactLength())
  }

  async #compactLength(): Promise<number> {
    let length = 0
    for (let shift = 0; shift <= 14; shift += 7) {
      const byte = (await this.#take(1)).readUInt8(0)
      length |= (shift === 14 ? byte : byte & 0x7f) << shift
      if ((byte & 0x80) === 0) break
    }
    return length
  }

  async #key(keysym: number, down: boolean): Promise<void> {
    const message = Buffer.alloc(8)
    message[0] = 4
    message[1] = down ? 1 : 0
    message.writeUInt32BE(keysym, 4)
    await this.#send(message)
  }

  async #send(bytes: Buffer): Promise<void> {
    await this.wire.write(bytes)
  }

  async #take(length: number): Promise<Buffer> {
    const parts = [this.#pending]
    let held = this.#pending.length
    while (held < length) {
      const bytes = await this.wire.read()
      parts.push(Buffer.from(bytes))
      held += bytes.byteLength
    }
    const all = parts.length === 1 ? this.#pending : Buffer.concat(parts)
    this.#pending = all.subarray(length)
    this.#taken += length
    return all.subarray(0, length)
  }
}
