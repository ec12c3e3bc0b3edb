import { BLACK, LARGEST, type Framebuffer } from './framebuffer'

/** Values a cell has: character, flags, background and foreground (0xRRGGBB). */
const CELL = 4
const BLINKING = 1
const FONT_PAGE_B = 2
/** Bytes between two glyphs of VGA's font plane, and characters of a font. */
const GLYPH_BYTES = 32
const FONT_CHARACTERS = 256
/** Box-drawing characters, whose eighth column runs on into a ninth. */
const LINES = { first: 0xc0, last: 0xdf } as const
/** The BIOS loads its font as soon as it runs; until then a cell has the usual size. */
const USUAL = { cellWidth: 9, cellHeight: 16 } as const

export interface VgaFont {
  /** Height of a glyph in lines, 1 to 32. */
  height: number
  /** Whether a ninth column stands between the characters. */
  nine: boolean
  /** Whether each column is two pixels wide. */
  double: boolean
  /** Whether line characters run on into the ninth column. */
  joinLines: boolean
  /** The font plane of the card, which changes under us: 8 fonts of 256 glyphs of 32 bytes. */
  plane: Uint8Array
}

/**
 * VGA's text mode: cells, drawn with the font that the guest has loaded. Nothing is drawn before somebody looks.
 * Neither cursor nor characters blink, so that a guest that does nothing also sends nothing.
 */
export class VgaText {
  static readonly flags = { blinking: BLINKING, fontPageB: FONT_PAGE_B } as const
  #columns = 80
  #rows = 25
  #cells = new Int32Array(80 * 25 * CELL)
  #changed = new Uint8Array(25).fill(1)
  #font: VgaFont | null = null
  #pages: readonly [number, number] = [0, 0]
  #cursor = { row: 0, column: 0, first: 0, last: 0, shown: false }

  /** A cell's size in pixels. */
  get #cell(): { width: number; height: number } {
    const font = this.#font
    if (!font) return { width: USUAL.cellWidth, height: USUAL.cellHeight }
    return { width: font.double ? 16 : font.nine ? 9 : 8, height: font.height }
  }

  setSize(columns: number, rows: number): void {
    if (columns === this.#columns && rows === this.#rows) return
    // registers of a hostile guest can ask for more than any screen shows
    const [fitColumns, fitRows] = [Math.min(columns, LARGEST.width / 8), Math.min(rows, LARGEST.height)]
    this.#columns = fitColumns
    this.#rows = fitRows
    this.#cells = new Int32Array(fitColumns * fitRows * CELL)
    this.#changed = new Uint8Array(fitRows).fill(1)
  }

  /** `background` and `foreground` are 0xRRGGBB. */
  put(row: number, column: number, character: number, flags: number, background: number, foreground: number): void {
    if (row >= this.#rows || column >= this.#columns) return
    const at = (row * this.#columns + column) * CELL
    this.#cells[at] = character
    this.#cells[at + 1] = flags
    this.#cells[at + 2] = background
    this.#cells[at + 3] = foreground
    this.#changed[row] = 1
  }

  setFont(font: VgaFont): void {
    this.#font = font
    this.touch()
  }

  /** Which of the eight fonts the two kinds of characters use. */
  setPages(first: number, second: number): void {
    this.#pages = [first, second]
    this.touch()
  }

  moveCursor(row: number, column: number): void {
    this.#changed[this.#cursor.row] = 1
    this.#cursor = { ...this.#cursor, row, column }
    this.#changed[row] = 1
  }

  /** The cursor's scan lines, `last` not included. */
  shapeCursor(first: number, last: number, shown: boolean): void {
    this.#cursor = { ...this.#cursor, first, last, shown }
    this.#changed[this.#cursor.row] = 1
  }

  /** Everything is to be drawn again. */
  touch(): void {
    this.#changed.fill(1)
  }

  /** Brings `target` up to date. */
  draw(target: Framebuffer): void {
    const { width, height } = this.#cell
    const before = target.pixels
    target.resize(this.#columns * width, this.#rows * height)
    if (target.pixels !== before) this.touch()
    if (!this.#changed.includes(1)) return
    const line = new Uint32Array(this.#columns * width)
    const rows = Math.min(this.#rows, Math.ceil(target.height / height))
    for (let row = 0; row < rows; row++) {
      if (this.#changed[row] === 0) continue
      for (let scan = 0; scan < height; scan++) {
        this.#drawLine(row, scan, line)
        target.putRow(0, row * height + scan, line, 0, line.length)
      }
    }
    this.#changed.fill(0)
  }

  #drawLine(row: number, scan: number, line: Uint32Array): void {
    const { width } = this.#cell
    const font = this.#font
    const { row: cursorRow, column: cursorColumn, first, last, shown } = this.#cursor
    const underCursor = shown && row === cursorRow && scan >= first && scan < last
    for (let column = 0, x = 0; column < this.#columns; column++, x += width) {
      const at = (row * this.#columns + column) * CELL
      const background = pixel(this.#cells[at + 2] as number)
      const foreground = pixel(this.#cells[at + 3] as number)
      if (!font) line.fill(BLACK, x, x + width)
      else if (underCursor && column === cursorColumn) line.fill(foreground, x, x + width)
      else this.#drawGlyph(font, at, scan, line, x, background, foreground)
    }
  }

  #drawGlyph(
    font: VgaFont,
    at: number,
    scan: number,
    line: Uint32Array,
    x: number,
    background: number,
    foreground: number,
  ): void {
    const character = (this.#cells[at] as number) & 0xff
    const page = ((this.#cells[at + 1] as number) & FONT_PAGE_B) !== 0 ? this.#pages[1] : this.#pages[0]
    const bits = font.plane[(page * FONT_CHARACTERS + character) * GLYPH_BYTES + scan] ?? 0
    const step = font.double ? 2 : 1
    for (let column = 0; column < 8; column++) {
      const colour = (bits & (0x80 >> column)) !== 0 ? foreground : background
      line[x + column * step] = colour
      if (font.double) line[x + column * step + 1] = colour
    }
    if (!font.nine || font.double) return
    const joined = font.joinLines && character >= LINES.first && character <= LINES.last && (bits & 1) !== 0
    line[x + 8] = joined ? foreground : background
  }
}

/** A pixel of the framebuffer from 0xRRGGBB. */
function pixel(colour: number): number {
  return (BLACK | ((colour & 0xff) << 16) | (colour & 0xff00) | ((colour >> 16) & 0xff)) >>> 0
}
