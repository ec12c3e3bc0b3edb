import { inflateSync, constants } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { Framebuffer, LARGEST, takeUnseen, TILE, type Rectangle } from '../../vmm/engine/framebuffer'
import { RfbRefusal, ViewerReader, type PixelFormat, type ViewerMessage } from '../../vmm/engine/rfb-messages'
import { encodeRaw, OWN_FORMAT, PixelWriter } from '../../vmm/engine/rfb-pixels'
import { RfbServer } from '../../vmm/engine/rfb-server'
import { zrleTiles, ZlibRun } from '../../vmm/engine/rfb-zrle'
import { below, bytes, pick, pieces, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

/** A version, no security, and a wish to share the screen. */
const HELLO = Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.of(1, 1)])

function readAll(parts: readonly Uint8Array[]): ViewerMessage[] {
  const reader = new ViewerReader()
  return parts.flatMap((part) => [...reader.read(part)])
}

/** Messages that a viewer may send, with random content. */
function randomMessage(random: Random): Buffer {
  const encodings = below(random, 20)
  const text = below(random, 50)
  return pick(random, [
    () => Buffer.concat([Buffer.of(0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0), Buffer.alloc(3)]),
    () => Buffer.concat([Buffer.of(2, 0, 0, encodings), bytes(random, encodings * 4)]),
    () => Buffer.concat([Buffer.of(3), bytes(random, 9)]),
    () => Buffer.concat([Buffer.of(4), bytes(random, 7)]),
    () => Buffer.concat([Buffer.of(5), bytes(random, 5)]),
    () => Buffer.concat([Buffer.of(6, 0, 0, 0, 0, 0, 0, text), bytes(random, text)]),
    () => Buffer.concat([Buffer.of(251, 0, 0, 0, 0, 0, 1, 0), bytes(random, 16)]),
    () => Buffer.concat([Buffer.of(255, 0), bytes(random, 10)]),
  ])()
}

describe('reading a viewer', () => {
  test('messages are the same however their bytes are cut', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 200; round++) {
      const whole = Buffer.concat([HELLO, ...Array.from({ length: 10 }, () => randomMessage(random))])

      expect(readAll(pieces(random, whole, 7))).toEqual(readAll([whole]))
    }
  })

  test('whatever comes is read or refused, and little of it is held', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 500; round++) {
      const noise = pieces(random, bytes(random, below(random, 3000)), 200)
      try {
        readAll(round % 2 === 0 ? noise : [HELLO, ...noise])
      } catch (error) {
        expect(error).toBeInstanceOf(RfbRefusal)
      }
    }
  })

  test.each([
    ['another version', Buffer.from('RFB 003.003\n')],
    ['a security type that was not offered', Buffer.concat([Buffer.from('RFB 003.008\n'), Buffer.of(2)])],
    ['a message that there is not', Buffer.concat([HELLO, Buffer.of(77)])],
    ['more encodings than there are', Buffer.concat([HELLO, Buffer.of(2, 0, 255, 255)])],
    ['clipboard text of 4 GiB', Buffer.concat([HELLO, Buffer.of(6, 0, 0, 0, 255, 255, 255, 255)])],
    ['a colour map', Buffer.concat([HELLO, Buffer.of(0, 0, 0, 0, 8, 8, 0, 0), Buffer.alloc(12)])],
    ['pixels of 24 bits', Buffer.concat([HELLO, Buffer.of(0, 0, 0, 0, 24, 24, 0, 1), Buffer.alloc(12)])],
    [
      'shifts out of the pixel',
      Buffer.concat([HELLO, Buffer.of(0, 0, 0, 0, 16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 32, 5, 0), Buffer.alloc(3)]),
    ],
  ])('%s is refused', (_what, said) => {
    expect(() => readAll([said])).toThrow(RfbRefusal)
  })

  test('clipboard text is skipped, and the message after it is read', () => {
    const text = Buffer.concat([Buffer.of(6, 0, 0, 0, 0, 0, 0, 5), Buffer.from('hello'), Buffer.of(5, 1, 0, 2, 0, 3)])

    expect(readAll([HELLO, text]).slice(3)).toEqual([{ type: 'pointer', buttons: 1, x: 2, y: 3 }])
  })
})

/** A picture of few or many colours. */
function randomPicture(random: Random, width: number, height: number, colours: number): Framebuffer {
  const framebuffer = new Framebuffer(width, height)
  const palette = Array.from({ length: colours }, () => (0xff000000 | below(random, 2 ** 24)) >>> 0)
  for (let y = 0; y < height; y++) {
    framebuffer.putRow(
      0,
      y,
      Uint32Array.from({ length: width }, () => pick(random, palette)),
      0,
      width,
    )
  }
  return framebuffer
}

/** What a viewer makes of ZRLE in the server's own format (RFC 6143, 7.7.6), written apart from the encoder. */
function readZrle(data: Uint8Array, { width, height }: Rectangle): Uint32Array {
  const picture = new Uint32Array(width * height)
  let at = 0
  const pixel = () => (0xff000000 | (data[at++] ?? 0) | ((data[at++] ?? 0) << 8) | ((data[at++] ?? 0) << 16)) >>> 0
  for (let top = 0; top < height; top += 64) {
    for (let left = 0; left < width; left += 64) {
      const [right, bottom] = [Math.min(width, left + 64), Math.min(height, top + 64)]
      const kind = data[at++] ?? 255
      const palette = kind === 0 ? [] : Array.from({ length: kind }, pixel)
      const bits = kind <= 1 ? 0 : kind === 2 ? 1 : kind <= 4 ? 2 : 4
      for (let y = top; y < bottom; y++) {
        let filled = 0
        for (let x = left; x < right; x++) {
          if (kind === 0) {
            picture[y * width + x] = pixel()
            continue
          }
          const index = bits === 0 ? 0 : ((data[at] ?? 0) >> (8 - bits - filled)) & (2 ** bits - 1)
          filled += bits
          if (bits > 0 && (filled === 8 || x === right - 1)) [at, filled] = [at + 1, 0]
          picture[y * width + x] = palette[index] ?? 0
        }
      }
    }
  }
  expect(at).toBe(data.byteLength)
  return picture
}

describe('pictures', () => {
  test('ZRLE gives back every pixel, of any size and number of colours', () => {
    const { random } = seededRandom()
    for (const colours of [1, 2, 3, 4, 5, 16, 17, 500]) {
      const [width, height] = [1 + below(random, 150), 1 + below(random, 150)]
      const framebuffer = randomPicture(random, width, height, colours)
      const area = { x: 0, y: 0, width, height }

      expect(readZrle(zrleTiles(framebuffer, area, new PixelWriter(OWN_FORMAT)), area)).toEqual(framebuffer.pixels)
    }
  })

  test('one zlib stream runs through all rectangles, each of them complete', async () => {
    const { random } = seededRandom()
    const run = new ZlibRun()
    const plain = Array.from({ length: 20 }, () => bytes(random, below(random, 5000)))
    const packed: Uint8Array[] = []
    for (const [index, part] of plain.entries()) {
      packed.push(await run.compress(part))
      const sofar = inflateSync(Buffer.concat(packed), { finishFlush: constants.Z_SYNC_FLUSH })
      expect(sofar).toEqual(Buffer.concat(plain.slice(0, index + 1)))
    }
    run.close()
  })

  test.each<[string, Partial<PixelFormat>, number[]]>([
    ['as it is', {}, [0x11, 0x22, 0x33, 0xff]],
    ['BGRX', { redShift: 16, blueShift: 0 }, [0x33, 0x22, 0x11, 0]],
    ['big-endian', { bigEndian: true }, [0, 0x33, 0x22, 0x11]],
    [
      '16 bits',
      { bitsPerPixel: 16, redMax: 31, greenMax: 63, blueMax: 31, redShift: 11, greenShift: 5, blueShift: 0 },
      [0x06, 0x11],
    ],
  ])('a pixel goes out %s', (_name, change, expected) => {
    const framebuffer = new Framebuffer(1, 1)
    framebuffer.putRow(0, 0, Uint32Array.of(0xff332211), 0, 1)
    const writer = new PixelWriter({ ...OWN_FORMAT, ...change })

    const raw = encodeRaw(framebuffer, { x: 0, y: 0, width: 1, height: 1 }, writer)

    expect(raw).toHaveLength(expected.length)
    // the byte that no colour uses may be anything
    expect([...raw].filter((_, index) => expected[index] !== 0xff && expected[index] !== 0)).toEqual(
      expected.filter((value) => value !== 0xff && value !== 0),
    )
  })

  test('only tiles that changed are told again', () => {
    const framebuffer = new Framebuffer(3 * TILE, 2 * TILE)
    const all = { x: 0, y: 0, width: framebuffer.width, height: framebuffer.height }
    const reader = framebuffer.addReader()
    expect(takeUnseen(framebuffer, reader, all, Infinity)).toHaveLength(2)

    framebuffer.putRow(TILE + 5, TILE, Uint32Array.of(1, 2, 3), 0, 3)
    framebuffer.putRow(TILE + 5, TILE, Uint32Array.of(1, 2, 3), 0, 3)

    expect(takeUnseen(framebuffer, reader, all, Infinity)).toEqual([{ x: TILE, y: TILE, width: TILE, height: TILE }])
    expect(takeUnseen(framebuffer, reader, all, Infinity)).toEqual([])
  })

  test('rows from anywhere to anywhere stay inside', () => {
    const { random } = seededRandom()
    const framebuffer = new Framebuffer(100, 100)
    for (let round = 0; round < 2000; round++) {
      const source = Uint32Array.from({ length: below(random, 300) }, () => below(random, 2 ** 32))
      const somewhere = () => below(random, 400) - 200
      framebuffer.putRow(somewhere(), somewhere(), source, below(random, 50), below(random, 400))
    }
    framebuffer.resize(1e9, Number.NaN)

    expect(framebuffer.pixels).toHaveLength(LARGEST.width)
  })
})

describe('a server', () => {
  const request = (incremental: number): Buffer => Buffer.of(3, incremental, 0, 0, 0, 0, 255, 255, 255, 255)

  function serve(framebuffer = new Framebuffer(80, 40)) {
    const said: Uint8Array[] = []
    const done: unknown[] = []
    const note =
      (what: string) =>
      (...args: unknown[]) =>
        void done.push([what, ...args])
    const input = { key: note('key'), scancode: note('scancode'), pointer: note('pointer') }
    const server = new RfbServer(
      framebuffer,
      input,
      (part) => said.push(part),
      () => undefined,
    )
    server.begin()
    const take = () => Buffer.concat(said.splice(0))
    return { server, framebuffer, done, take }
  }

  test('greets, and tells the size and its name', () => {
    const { server, take } = serve()
    server.receive(Buffer.concat([HELLO]))

    const greeting = take()
    expect(greeting.toString('latin1', 0, 12)).toBe('RFB 003.008\n')
    expect([...greeting.subarray(12, 18)]).toEqual([1, 1, 0, 0, 0, 0])
    expect([greeting.readUInt16BE(18), greeting.readUInt16BE(20)]).toEqual([80, 40])
    expect(greeting.toString('latin1', 42)).toBe('Vivarium')
  })

  test('sends a picture when asked, and nothing more until it changes', async () => {
    const { server, framebuffer, take } = serve()
    server.receive(Buffer.concat([HELLO, request(0)]))
    take()
    await server.update()
    const whole = take()
    expect(whole.readUInt16BE(2)).toBe(1)
    expect(whole).toHaveLength(4 + 12 + 80 * 40 * 4)

    server.receive(request(1))
    await server.update()
    expect(take()).toHaveLength(0)

    framebuffer.putRow(70, 3, Uint32Array.of(0xff0000ff), 0, 1)
    await server.update()
    expect([...take().subarray(0, 16)]).toEqual([0, 0, 0, 1, 0, 64, 0, 0, 0, 16, 0, 40, 0, 0, 0, 0])
  })

  test.each([
    [-223, 12],
    [-308, 12 + 20],
  ])('tells another size by pseudo-encoding %i before it sends pictures of it', async (encoding, length) => {
    const { server, framebuffer, take } = serve()
    const encodings = Buffer.of(2, 0, 0, 1, 0, 0, 0, 0)
    encodings.writeInt32BE(encoding, 4)
    server.receive(Buffer.concat([HELLO, encodings, request(0)]))
    await server.update()
    take()

    framebuffer.resize(16, 8)
    server.receive(request(1))
    await server.update()

    const update = take()
    expect(update.readUInt16BE(2)).toBe(2)
    expect([update.readUInt16BE(8), update.readUInt16BE(10), update.readInt32BE(12)]).toEqual([16, 8, encoding])
    expect(update).toHaveLength(4 + length + 12 + 16 * 8 * 4)
  })

  test('hands keys and movements on', () => {
    const { server, done } = serve()
    const key = Buffer.of(4, 1, 0, 0, 0, 0, 0xff, 0x0d)
    const scancode = Buffer.of(255, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0xd3)
    server.receive(Buffer.concat([HELLO, key, scancode, Buffer.of(5, 4, 0, 7, 0, 9)]))

    expect(done).toEqual([
      ['key', 0xff0d, true],
      ['scancode', 0xd3, true],
      ['pointer', 4, 7, 9],
    ])
  })

  test('a viewer that talks nonsense is told so, whatever it is', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 200; round++) {
      const { server } = serve()
      const why = server.receive(bytes(random, 200))
      server.close()
      expect(why).toContain('3.8')
    }
  })
})
