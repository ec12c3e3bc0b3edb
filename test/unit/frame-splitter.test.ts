import { describe, expect, test } from 'vitest'
import { framed, FrameSplitter } from '../../vmm/net/frame-splitter'
import { bytes, below, pick, pieces } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const FRAMES = ['', 'a', 'two of them', 'x'.repeat(60)].map((text) => Buffer.from(text))
const STREAM = Buffer.concat(FRAMES.map(framed))

/** What comes of chunks: the frames, or null when the stream is broken. */
function split(chunks: readonly Uint8Array[]): Buffer[] | null {
  const splitter = new FrameSplitter()
  const frames: Buffer[] = []
  for (const chunk of chunks) {
    const isWhole = splitter.push(Buffer.from(chunk), (buffer, at, end) => {
      if (buffer.readUInt32BE(at - 4) !== end - at) throw new Error('The length does not lie before the frame.')
      frames.push(Buffer.from(buffer.subarray(at, end)))
    })
    if (!isWhole) return null
  }
  return frames
}

test('frames are the same wherever the stream is cut, also twice', () => {
  for (let first = 0; first <= STREAM.length; first++) {
    for (let second = first; second <= STREAM.length; second++) {
      const chunks = [STREAM.subarray(0, first), STREAM.subarray(first, second), STREAM.subarray(second)]
      expect(split(chunks)).toEqual(FRAMES)
    }
  }
})

test('they are the same byte by byte, and in random pieces', () => {
  expect(split(Array.from(STREAM, (byte) => Uint8Array.of(byte)))).toEqual(FRAMES)
  const { random } = seededRandom()
  for (let round = 0; round < 300; round++) {
    const frames = Array.from({ length: below(random, 30) }, () => bytes(random, pick(random, [0, 1, 3, 4, 60, 1514])))
    expect(split(pieces(random, Buffer.concat(frames.map(framed)), 1 + below(random, 2000)))).toEqual(frames)
  }
})

describe('a length beyond any frame', () => {
  test.each([70_001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])('of %d breaks the stream at once', (length) => {
    const header = Buffer.alloc(4)
    header.writeUInt32BE(length)
    expect(split([header])).toBe(null)
    for (let cut = 1; cut < 4; cut++) expect(split([header.subarray(0, cut), header.subarray(cut)])).toBe(null)
    expect(split([STREAM, header])).toBe(null)
  })

  test('is one above the longest that is taken', () => {
    const frame = Buffer.alloc(70_000, 1)
    expect(split([framed(frame)])).toEqual([frame])
  })
})
