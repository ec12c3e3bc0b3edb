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
  /** Draws what changed in a graphical mode, and calls the screen's `update_buffer`. */
  screen_fill_buffer(): void
}

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

  /** To be called before v86 makes its graphics card. */
  static prepare(): void {
    Object.assign(globalThis, { ImageData: ImageDataOfV86 })
  }

  /** Becomes the screen of `emulator`, which must not have run or been restored yet. */
  attach(emulator: Emulator): void {
    const { vga } = (emulator as unknown as { v86: { cpu: { devices: { vga: V86Card } } } }).v86.cpu.devices
    vga.screen = this.#adapter()
    this.#card = vga
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
