/** Side of a tile, pixels: the unit in which changes are noticed, and the one that ZRLE cuts a picture into. */
export const TILE = 64
/** The largest picture that v86's graphics card can make; more is cut off. */
export const LARGEST = { width: 2560, height: 1600 } as const

/** Which tiles of a framebuffer one reader has not seen yet. */
export interface Unseen {
  /** One entry a tile, row by row; 1 where something changed. */
  tiles: Uint8Array
  /** Whether the size changed. */
  resized: boolean
}

export interface Rectangle {
  x: number
  y: number
  width: number
  height: number
}

/** A picture that notices, for any number of readers, where it changes. A pixel is 0xffBBGGRR: bytes R, G, B, 255. */
export class Framebuffer {
  width = 0
  height = 0
  pixels = new Uint32Array()
  readonly #readers = new Set<Unseen>()

  constructor(width: number, height: number) {
    this.resize(width, height)
  }

  /** Tiles in a row. */
  get columns(): number {
    return Math.ceil(this.width / TILE)
  }

  /** A reader to whom all is new. */
  addReader(): Unseen {
    const reader = { tiles: this.#allTiles(), resized: false }
    this.#readers.add(reader)
    return reader
  }

  removeReader(reader: Unseen): void {
    this.#readers.delete(reader)
  }

  /** Makes the picture black and of another size; the same size changes nothing. */
  resize(width: number, height: number): void {
    const [fitWidth, fitHeight] = [fit(width, LARGEST.width), fit(height, LARGEST.height)]
    if (fitWidth === this.width && fitHeight === this.height) return
    this.width = fitWidth
    this.height = fitHeight
    this.pixels = new Uint32Array(fitWidth * fitHeight).fill(BLACK)
    for (const reader of this.#readers) {
      reader.tiles = this.#allTiles()
      reader.resized = true
    }
  }

  clear(): void {
    const row = new Uint32Array(this.width).fill(BLACK)
    for (let y = 0; y < this.height; y++) this.putRow(0, y, row, 0, this.width)
  }

  /** Copies `count` pixels of `source` from `from` on to (x, y) and notices what differs; what is outside is cut off. */
  putRow(x: number, y: number, source: Uint32Array, from: number, count: number): void {
    if (y < 0 || y >= this.height) return
    const first = Math.max(0, x)
    const end = Math.min(this.width, x + Math.min(count, source.length - from))
    const shift = from - x
    const base = y * this.width
    for (let at = first; at < end;) {
      const tileEnd = Math.min(end, (Math.floor(at / TILE) + 1) * TILE)
      let changed = false
      for (let column = at; column < tileEnd; column++) {
        const pixel = source[column + shift] as number
        if (this.pixels[base + column] === pixel) continue
        this.pixels[base + column] = pixel
        changed = true
      }
      if (changed) this.#mark(Math.floor(y / TILE) * this.columns + Math.floor(at / TILE))
      at = tileEnd
    }
  }

  #mark(tile: number): void {
    for (const reader of this.#readers) reader.tiles[tile] = 1
  }

  #allTiles(): Uint8Array {
    return new Uint8Array(this.columns * Math.ceil(this.height / TILE)).fill(1)
  }
}

export const BLACK = 0xff000000

function fit(wanted: number, largest: number): number {
  return Math.min(largest, Math.max(1, Math.floor(wanted) || 1))
}

/**
 * Takes tiles that `reader` has not seen and that touch `area`, as rectangles: neighbours in a row are one. Stops
 * when they hold more than `pixelLimit` pixels; the rest stays unseen.
 */
export function takeUnseen(framebuffer: Framebuffer, reader: Unseen, area: Rectangle, pixelLimit: number): Rectangle[] {
  const { columns, width, height } = framebuffer
  const taken: Rectangle[] = []
  let pixels = 0
  for (
    let tile = reader.tiles.indexOf(1);
    tile !== -1 && pixels < pixelLimit;
    tile = reader.tiles.indexOf(1, tile + 1)
  ) {
    const x = (tile % columns) * TILE
    const y = Math.floor(tile / columns) * TILE
    const rectangle = { x, y, width: Math.min(TILE, width - x), height: Math.min(TILE, height - y) }
    if (!touches(rectangle, area)) continue
    reader.tiles[tile] = 0
    pixels += rectangle.width * rectangle.height
    const last = taken.at(-1)
    if (last?.y === y && last.x + last.width === x) last.width += rectangle.width
    else taken.push(rectangle)
  }
  return taken
}

function touches(one: Rectangle, other: Rectangle): boolean {
  return (
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + other.height &&
    other.y < one.y + one.height
  )
}
