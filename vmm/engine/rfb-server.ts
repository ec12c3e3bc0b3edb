import { takeUnseen, type Framebuffer, type Rectangle, type Unseen } from './framebuffer'
import { RfbRefusal, ViewerReader, type ViewerMessage } from './rfb-messages'
import { encodeRaw, OWN_FORMAT, PixelWriter } from './rfb-pixels'
import { zrleTiles, ZlibRun } from './rfb-zrle'

/** Encodings and pseudo-encodings (RFC 6143, sections 7.7 and 7.8, and the community's registry). */
const RAW = 0
const ZRLE = 16
const DESKTOP_SIZE = -223
const QEMU_SCANCODES = -258
const EXTENDED_DESKTOP_SIZE = -308
/** The outcome of a viewer's wish for another size: prohibited. */
const SIZE_REFUSED = 1
const NAME = 'Vivarium'
/** Pixels of one update; what is more follows with the next request. */
const UPDATE_PIXELS = 512 * 1024

/** Where the keys and movements of a viewer go. */
export interface ViewerInput {
  key(keysym: number, down: boolean): void
  scancode(scancode: number, down: boolean): void
  /** `buttons` is the mask of RFC 6143, 7.5.5. */
  pointer(buttons: number, x: number, y: number): void
}

/** One viewer of a framebuffer: speaks the server's part of the remote framebuffer protocol. */
export class RfbServer {
  readonly #reader = new ViewerReader()
  readonly #unseen: Unseen
  readonly #zlib = new ZlibRun()
  #writer = new PixelWriter(OWN_FORMAT)
  #encodings = new Set<number>()
  /** What the viewer asked to be told about; null while it asks for nothing. */
  #asked: Rectangle | null = null
  #announceScancodes = false
  #refuseSize = false
  #closed = false
  #encoding = false

  /** `asks` is called when the viewer waits for an update that `update` could give. */
  constructor(
    private readonly framebuffer: Framebuffer,
    private readonly input: ViewerInput,
    private readonly send: (bytes: Uint8Array) => void,
    private readonly asks: () => void,
  ) {
    this.#unseen = framebuffer.addReader()
  }

  /** Speaks first, as a server does. */
  begin(): void {
    this.send(Buffer.from('RFB 003.008\n', 'latin1'))
  }

  /** Whether the viewer waits for an update. */
  get waiting(): boolean {
    return this.#asked !== null && !this.#encoding && !this.#closed
  }

  /** Takes what the viewer sent. Returns why it is not to be served any further, or ''. */
  receive(bytes: Uint8Array): string {
    try {
      for (const message of this.#reader.read(bytes)) this.#handle(message)
      return ''
    } catch (error) {
      if (error instanceof RfbRefusal) return error.message
      throw error
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.framebuffer.removeReader(this.#unseen)
    this.#zlib.close()
  }

  /** Sends what the viewer has not seen, if there is any. */
  async update(): Promise<void> {
    if (this.#asked === null || !this.waiting) return
    const notices = this.#notices()
    const pictures = takeUnseen(this.framebuffer, this.#unseen, this.#asked, UPDATE_PIXELS)
    if (notices.length === 0 && pictures.length === 0) return
    this.#asked = null
    this.#encoding = true
    // all of one moment; only the compression takes its time
    const packed = this.#encodings.has(ZRLE)
    const draw = packed ? zrleTiles : encodeRaw
    const drawn = pictures.map((area) => ({ area, data: draw(this.framebuffer, area, this.#writer) }))
    const parts = [...notices]
    for (const { area, data } of drawn) {
      if (packed && !this.#closed) parts.push(rectangleHeader(area, ZRLE), await this.#packed(data))
      else parts.push(rectangleHeader(area, RAW), data)
    }
    this.#encoding = false
    if (!this.#closed) this.send(Buffer.concat([updateHeader(notices.length + pictures.length), ...parts]))
    this.asks()
  }

  #handle(message: ViewerMessage): void {
    switch (message.type) {
      case 'version':
        return this.send(Uint8Array.of(1, 1)) // one security type: none
      case 'security':
        return this.send(new Uint8Array(4)) // it went well
      case 'init':
        return this.send(this.#serverInit())
      case 'pixel-format':
        this.#writer = new PixelWriter(message.format)
        return
      case 'encodings':
        this.#announceScancodes = message.encodings.includes(QEMU_SCANCODES) && !this.#encodings.has(QEMU_SCANCODES)
        this.#encodings = new Set(message.encodings)
        return
      case 'update-request':
        return this.#ask(message.incremental, message.area)
      case 'set-size':
        this.#refuseSize = true
        return
      case 'key':
        return this.input.key(message.keysym, message.down)
      case 'scancode':
        return this.input.scancode(message.scancode, message.down)
      case 'pointer':
        return this.input.pointer(message.buttons, message.x, message.y)
    }
  }

  #ask(incremental: boolean, area: Rectangle): void {
    if (!incremental) this.#unseen.tiles.fill(1)
    this.#asked = area
    this.asks()
  }

  /** What is told beside pictures, as rectangles of pseudo-encodings. */
  #notices(): Uint8Array[] {
    const { width, height } = this.framebuffer
    const notices: Uint8Array[] = []
    if (this.#announceScancodes) notices.push(rectangleHeader({ x: 0, y: 0, width: 0, height: 0 }, QEMU_SCANCODES))
    this.#announceScancodes = false
    if (this.#unseen.resized || this.#refuseSize) {
      const status = this.#refuseSize ? SIZE_REFUSED : 0
      if (this.#encodings.has(EXTENDED_DESKTOP_SIZE)) notices.push(extendedSize(width, height, status))
      else if (this.#encodings.has(DESKTOP_SIZE))
        notices.push(rectangleHeader({ x: 0, y: 0, width, height }, DESKTOP_SIZE))
    }
    this.#unseen.resized = this.#refuseSize = false
    return notices
  }

  /** Compressed, with its length in front. */
  async #packed(data: Uint8Array): Promise<Uint8Array> {
    const compressed = await this.#zlib.compress(data)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(compressed.byteLength)
    return Buffer.concat([length, compressed])
  }

  #serverInit(): Uint8Array {
    const init = Buffer.alloc(24 + NAME.length)
    init.writeUInt16BE(this.framebuffer.width, 0)
    init.writeUInt16BE(this.framebuffer.height, 2)
    init[4] = OWN_FORMAT.bitsPerPixel
    init[5] = 24 // depth
    init[7] = 1 // true colour
    init.writeUInt16BE(OWN_FORMAT.redMax, 8)
    init.writeUInt16BE(OWN_FORMAT.greenMax, 10)
    init.writeUInt16BE(OWN_FORMAT.blueMax, 12)
    init[14] = OWN_FORMAT.redShift
    init[15] = OWN_FORMAT.greenShift
    init[16] = OWN_FORMAT.blueShift
    init.writeUInt32BE(NAME.length, 20)
    init.write(NAME, 24, 'latin1')
    return init
  }
}

function updateHeader(rectangles: number): Uint8Array {
  return Uint8Array.of(0, 0, rectangles >> 8, rectangles)
}

function rectangleHeader({ x, y, width, height }: Rectangle, encoding: number): Uint8Array {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(x, 0)
  header.writeUInt16BE(y, 2)
  header.writeUInt16BE(width, 4)
  header.writeUInt16BE(height, 6)
  header.writeInt32BE(encoding, 8)
  return header
}

/** One screen that covers all; `x` tells who asked for the size and `y` what came of it. */
function extendedSize(width: number, height: number, status: number): Uint8Array {
  const screen = Buffer.alloc(4 + 16)
  screen[0] = 1
  screen.writeUInt16BE(width, 12)
  screen.writeUInt16BE(height, 14)
  const header = rectangleHeader({ x: status === 0 ? 0 : 1, y: status, width, height }, EXTENDED_DESKTOP_SIZE)
  return Buffer.concat([header, screen])
}
