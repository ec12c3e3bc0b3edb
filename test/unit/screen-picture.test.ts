import { inflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { Framebuffer, LARGEST } from '../../vmm/engine/framebuffer'
import { encodePng } from '../../vmm/engine/png'
import { scancodeOf } from '../../vmm/engine/rfb-keysyms'
import { VgaText } from '../../vmm/engine/vga-text'
import { below, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const [BLACK, GREY] = [0xff000000, 0xffaaaaaa]

/** A font in which the character n is a glyph of rows n. */
function font(change: object = {}) {
  const plane = new Uint8Array(65_536)
  for (let glyph = 0; glyph < 8 * 256; glyph++) plane.fill(glyph & 0xff, glyph * 32, glyph * 32 + 32)
  return { height: 16, nine: true, double: false, joinLines: true, plane, ...change }
}

function rowOf(framebuffer: Framebuffer, y: number, from: number, count: number): boolean[] {
  return [...framebuffer.pixels.subarray(y * framebuffer.width + from).subarray(0, count)].map(
    (pixel) => pixel !== BLACK,
  )
}

const bits = (text: string): boolean[] => Array.from(text).map((bit) => bit === '1')

describe('text', () => {
  test.each([
    ['nine columns', {}, 0x41, '010000010'],
    ['a line that runs on', {}, 0xc5, '110001011'],
    ['a line that may not', { joinLines: false }, 0xc5, '110001010'],
    ['eight columns', { nine: false }, 0xc5, '11000101'],
    ['double width', { double: true }, 0xc5, '1111000000110011'],
  ])('is drawn with the font that the guest loaded: %s', (_name, change, character, expected) => {
    const framebuffer = new Framebuffer(1, 1)
    const text = new VgaText()
    text.setFont(font(change))
    text.put(2, 3, character, 0, 0, 0xaaaaaa)
    text.draw(framebuffer)

    const width = expected.length
    expect([framebuffer.width, framebuffer.height]).toEqual([80 * width, 25 * 16])
    expect(rowOf(framebuffer, 2 * 16 + 5, 3 * width, width)).toEqual(bits(expected))
    expect(framebuffer.pixels.includes(GREY)).toBe(true)
  })

  test('colours are those of the palette', () => {
    const framebuffer = new Framebuffer(1, 1)
    const text = new VgaText()
    text.setFont(font())
    text.put(0, 0, 0x80, 0, 0x0000ff, 0x112233)
    text.draw(framebuffer)

    expect([...framebuffer.pixels.subarray(0, 2)]).toEqual([0xff332211, 0xffff0000])
  })

  test('the cursor is where the guest put it, and goes where it moves', () => {
    const framebuffer = new Framebuffer(1, 1)
    const text = new VgaText()
    text.setFont(font())
    text.put(1, 1, 0, 0, 0, 0xffffff)
    text.put(1, 2, 0, 0, 0, 0xffffff)
    text.shapeCursor(14, 15, true)
    text.moveCursor(1, 1)
    text.draw(framebuffer)
    const before = rowOf(framebuffer, 16 + 14, 9, 18)
    text.moveCursor(1, 2)
    text.draw(framebuffer)

    expect(before).toEqual(bits('111111111000000000'))
    expect(rowOf(framebuffer, 16 + 14, 9, 18)).toEqual(bits('000000000111111111'))
  })

  test('text that does not change is not told again', () => {
    const framebuffer = new Framebuffer(1, 1)
    const text = new VgaText()
    text.setFont(font())
    text.draw(framebuffer)
    const reader = framebuffer.addReader()
    reader.tiles.fill(0)
    text.touch()
    text.draw(framebuffer)

    expect(reader.tiles.includes(1)).toBe(false)
  })

  test('registers of a hostile guest ask for no more than the largest screen', () => {
    const { random } = seededRandom()
    const framebuffer = new Framebuffer(1, 1)
    const text = new VgaText()
    for (let round = 0; round < 60; round++) anything(random, text, framebuffer)

    expect(framebuffer.width).toBeLessThanOrEqual(LARGEST.width)
    expect(framebuffer.height).toBeLessThanOrEqual(LARGEST.height)
  })
})

function anything(random: Random, text: VgaText, framebuffer: Framebuffer): void {
  text.setSize(1 + below(random, 400), 1 + below(random, 3000))
  text.setFont(font({ height: 1 + below(random, 32), nine: below(random, 2) === 0, double: below(random, 2) === 0 }))
  text.setPages(below(random, 8), below(random, 8))
  text.moveCursor(below(random, 70_000), below(random, 300))
  text.shapeCursor(below(random, 32), below(random, 32), true)
  for (let put = 0; put < 50; put++) {
    text.put(
      below(random, 4000),
      below(random, 500),
      below(random, 256),
      below(random, 4),
      below(random, 2 ** 24),
      0xffffff,
    )
  }
  text.draw(framebuffer)
}

test('a PNG has the size and the pixels of the picture', async () => {
  const { random } = seededRandom()
  const framebuffer = new Framebuffer(37, 11)
  const rows = Array.from({ length: 11 }, () =>
    Uint32Array.from({ length: 37 }, () => (0xff000000 | below(random, 2 ** 24)) >>> 0),
  )
  rows.forEach((row, y) => framebuffer.putRow(0, y, row, 0, 37))

  const png = Buffer.from(await encodePng(framebuffer))

  expect(png.toString('latin1', 1, 4)).toBe('PNG')
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([37, 11])
  // CRC of IEND, the same in every PNG file
  expect(png.readUInt32BE(png.length - 4)).toBe(0xae426082)
  expect(readPng(png, 37)).toEqual(rows.map((row) => [...row]))
})

/** The pixels of a PNG with one IDAT chunk whose rows are filtered by 'sub'. */
function readPng(png: Buffer, width: number): number[][] {
  const data = inflateSync(png.subarray(41, 41 + png.readUInt32BE(33)))
  const stride = 1 + width * 3
  return Array.from({ length: data.length / stride }, (_, y) => {
    const row = data.subarray(y * stride + 1, (y + 1) * stride)
    for (let at = 3; at < row.length; at++) row[at] = (row[at] ?? 0) + (row[at - 3] ?? 0)
    return Array.from({ length: width }, (_unused, x) => (0xff000000 | row.readUIntLE(x * 3, 3)) >>> 0)
  })
}

test.each([
  ['a', 0x1e],
  ['A', 0x1e],
  ['?', 0x35],
  ['\\', 0x2b],
  ['0', 0x0b],
])('the keysym of %s is the key on which it stands', (letter, code) => {
  expect(scancodeOf(letter.charCodeAt(0))).toBe(code)
})

test.each([
  [0xffbe, 0x3b],
  [0xffc9, 0x58],
  [0xffff, 0xd3],
  [0x1000123, null],
])('the keysym %i is the key %s', (keysym, code) => expect(scancodeOf(keysym)).toBe(code))
