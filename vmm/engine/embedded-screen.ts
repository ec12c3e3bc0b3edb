import type { V86 as Emulator } from 'v86'
import { Framebuffer } from './framebuffer'
import { VgaText } from './vga-text'

/** What of v86's graphics card (0.5.462, src/vga.js) is used here; checked by a guest test. */
interface V86Card {
  screen: object
  graphical_mode: boolean
  /** Size of the picture in a graphical mode; null image data while the guest is still setting one up. */
  screen_width: number
  screen_height: number
  image_data: object | null
  /** Forgets what was drawn already. */
  complete_redraw(): void
  /** The card begins the next picture, and says so in its status register until that is read. */
  update_vertical_retrace(): void
  port3DA_read(): number
  /** Draws what changed in a graphical mode, and calls the screen's `update_buffer`. */
  screen_fill_buffer(): void
}

interface V86Cpu {
  devices: { vga: V86Card }
  io: { register_read(port: number, device: object, read: () => number): void }
}

/** Ports of the status register, for colour and for monochrome. */
const STATUS_PORTS = [0x3da, 0x3ba]
/** Time between two pictures of a real card, milliseconds. */
const RETRACE_MS = 1000 / 60

/** A part of a picture that the card hands over, placed as canvas's putImageData places it. */
interface Layer {
  image_data: { data: Uint8ClampedArray; width: number; height: number }
  screen_x: number
  screen_y: number
  buffer_x: number
  buffer_y: number
  buffer_width: number
  buffer_height: number
}

/** v86 draws graphics only where there is the browser's class of this name. */
class ImageDataOfV86 {
  constructor(
    readonly data: Uint8ClampedArray,
    readonly width: number,
    readonly height: number,
  ) {}
}

/**
 * The screen of an embedded machine. It takes the place of v86's own screen, whose timer would draw all the time;
 * here the picture is brought up to date only when somebody looks.
 */
export class EmbeddedScreen {
  readonly framebuffer = new Framebuffer(720, 400)
  readonly #text = new VgaText()
  #card: V86Card | null = null
  #stale = true
  #retracedAt = 0

  /** To be called before v86 makes its graphics card. */
  static prepare(): void {
    Object.assign(globalThis, { ImageData: ImageDataOfV86 })
  }

  /** Becomes the screen of `emulator`, which must not have run or been restored yet. */
  attach(emulator: Emulator): void {
    const { devices, io } = (emulator as unknown as { v86: { cpu: V86Cpu } }).v86.cpu
    const { vga } = devices
    vga.screen = this.#adapter()
    for (const port of STATUS_PORTS) io.register_read(port, vga, () => this.#readStatus(vga))
    this.#card = vga
  }

  /** A guest that waits for the vertical retrace gets it in its time, whether or not somebody looks. */
  #readStatus(card: V86Card): number {
    const now = performance.now()
    if (card.graphical_mode && now - this.#retracedAt >= RETRACE_MS) {
      this.#retracedAt = now
      card.update_vertical_retrace()
    }
    return card.port3DA_read()
  }

  /** Brings the framebuffer up to date. */
  refresh(): void {
    const card = this.#card
    if (!card?.graphical_mode) this.#text.draw(this.framebuffer)
    else if (card.image_data !== null) this.#drawGraphics(card)
  }

  /** The card tells a size only when it differs from the last graphical one, and draws only what changed. */
  #drawGraphics(card: V86Card): void {
    const before = this.framebuffer.pixels
    this.framebuffer.resize(card.screen_width, card.screen_height)
    if (this.#stale || this.framebuffer.pixels !== before) card.complete_redraw()
    this.#stale = false
    card.screen_fill_buffer()
  }

  /** The methods by which v86's card drives a screen (src/browser/dummy_screen.js has the list). */
  #adapter(): object {
    const text = this.#text
    return {
      FLAG_BLINKING: VgaText.flags.blinking,
      FLAG_FONT_PAGE_B: VgaText.flags.fontPageB,
      put_char: text.put.bind(text),
      set_mode: () => {
        this.#stale = true
        text.touch()
      },
      set_font_bitmap: (height: number, nine: boolean, double: boolean, joinLines: boolean, plane: Uint8Array) =>
        text.setFont({ height, nine, double, joinLines, plane }),
      set_font_page: text.setPages.bind(text),
      set_size_text: text.setSize.bind(text),
      set_size_graphical: () => (this.#stale = true),
      clear_screen: () => this.framebuffer.clear(),
      clear_text_state: () => text.touch(),
      update_cursor_scanline: text.shapeCursor.bind(text),
      update_cursor: text.moveCursor.bind(text),
      update_buffer: (layers: readonly Layer[]) => layers.forEach((layer) => this.#copy(layer)),
    }
  }

  #copy(layer: Layer): void {
    const { data, width, height } = layer.image_data
    const source = new Uint32Array(data.buffer, data.byteOffset, width * height)
    const count = Math.min(layer.buffer_width, width - layer.buffer_x)
    const end = Math.min(layer.buffer_y + layer.buffer_height, height)
    for (let y = layer.buffer_y; y < end; y++) {
      const row = y - layer.buffer_y + layer.screen_y
      this.framebuffer.putRow(layer.screen_x, row, source, y * width + layer.buffer_x, count)
    }
  }
}
