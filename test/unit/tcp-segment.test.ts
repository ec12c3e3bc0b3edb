import { describe, expect, test } from 'vitest'
import { readIpv4, wordSum, folded } from '../../vmm/net/packet'
import { payloadSum } from '../../vmm/net/tcp-checksum'
import { TcpFrames } from '../../vmm/net/tcp-frames'
import { Reassembly } from '../../vmm/net/tcp-reassembly'
import { FLAG, sackOption, synOptions, TcpSegment } from '../../vmm/net/tcp-segment'
import { SendQueue } from '../../vmm/net/tcp-send-queue'
import { distance, earlier, isBefore, later, plus } from '../../vmm/net/tcp-sequence'
import { below, bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { GUEST, HOST, PATH } from '../support/tcp-line'
import { readWire, wireFrame, type WireSegment } from '../support/tcp-wire'

const ENDS = { source: GUEST, destination: HOST }

function read(frame: Buffer): TcpSegment | null {
  const packet = readIpv4(frame, 14, frame.length)
  const segment = new TcpSegment()
  return packet && segment.read(packet) ? segment : null
}

function segmentOf(fields: Partial<WireSegment>): TcpSegment | null {
  return read(wireFrame(ENDS, { sourcePort: 40_000, destinationPort: 80, flags: 'A', ...fields }))
}

test('sequence numbers wrap', () => {
  expect(plus(0xffff_fffe, 5)).toBe(3)
  expect(plus(2, -4)).toBe(0xffff_fffe)
  expect(distance(0xffff_fff0, 0x10)).toBe(32)
  expect(distance(0x10, 0xffff_fff0)).toBe(-32)
  expect(isBefore(0xffff_ffff, 0)).toBe(true)
  expect(isBefore(0, 0xffff_ffff)).toBe(false)
  expect(later(0xffff_ffff, 1)).toBe(1)
  expect(earlier(0xffff_ffff, 1)).toBe(0xffff_ffff)
})

test('sums of payloads are those of the words, wherever they lie', () => {
  const { random } = seededRandom()
  const buffer = bytes(random, 4096)
  for (let round = 0; round < 3000; round++) {
    const at = below(random, 64)
    const end = at + below(random, round % 10 === 0 ? 4000 : 40)
    const within = buffer.subarray(below(random, 9))
    expect(folded(payloadSum(within, at, end))).toBe(folded(wordSum(within, at, end)))
  }
})

describe('segments', () => {
  test('are read with their options', () => {
    const options: [number, Buffer][] = [
      [2, Buffer.from([5, 180])],
      [3, Buffer.from([7])],
      [4, Buffer.alloc(0)],
      [8, Buffer.alloc(8)],
    ]

    const segment = segmentOf({ flags: 'S', sequence: 0xffff_ffff, window: 1234, options, payload: Buffer.from('x') })

    expect(segment).toMatchObject({ sourcePort: 40_000, destinationPort: 80, mss: 1460, scale: 7, sackPermitted: true })
    expect(segment).toMatchObject({ sequence: 0xffff_ffff, window: 1234, payloadBytes: 1, length: 2, next: 1 })
  })

  test('do not keep the options of the one before', () => {
    const segment = new TcpSegment()
    const syn = wireFrame(ENDS, { flags: 'S', options: [[2, Buffer.from([5, 180])], [3, Buffer.from([7])]] }) // prettier-ignore
    segment.read(readIpv4(syn, 14, syn.length)!)
    const plain = wireFrame(ENDS, { flags: 'A' })

    segment.read(readIpv4(plain, 14, plain.length)!)

    expect(segment).toMatchObject({ mss: 0, scale: -1, sackPermitted: false, sackBlocks: 0 })
  })

  test('tell their SACK blocks', () => {
    const option = Buffer.from(sackOption([1, 2, 0xffff_fff0, 5]))

    const segment = segmentOf({ options: [[5, option.subarray(4)]] })

    expect(segment?.sackBlocks).toBe(2)
    expect([...segment!.sack.subarray(0, 4)]).toEqual([1, 2, 0xffff_fff0, 5])
  })

  test.each([
    ['a length of 0', [2, 0, 3, 3, 7, 0, 0, 0]],
    ['a length of 1', [2, 1, 3, 3, 7, 0, 0, 0]],
    ['a length beyond the header', [2, 40, 3, 3, 7, 0, 0, 0]],
    ['no length', [1, 1, 1, 1, 1, 1, 1, 3]],
    ['the length of another', [2, 3, 9, 3, 4, 7, 0, 0]],
  ])('are read though an option has %s', (_what, options) => {
    const content = Buffer.from(options)
    // the wire's own options are whole, so that these go in as the payload does and the header is made longer
    const frame = wireFrame(ENDS, { flags: 'S', payload: content })
    const segment = read(withHeaderOf(frame, 20 + content.length))

    expect(segment).toMatchObject({ mss: 0, scale: -1, payloadBytes: 0 })
  })

  test('with a wrong checksum or lengths that do not fit are none', () => {
    const frame = wireFrame(ENDS, { flags: 'A', payload: Buffer.from('hello') })
    const broken = Buffer.from(frame)
    broken[54]! ^= 1

    expect(read(frame)).not.toBeNull()
    expect(read(broken)).toBeNull()
    for (const headerBytes of [0, 4, 16, 28, 60]) expect(read(withHeaderOf(frame, headerBytes))).toBeNull()
  })
})

describe('frames', () => {
  test('are whole to a reader of its own', () => {
    const { random } = seededRandom()
    const data = bytes(random, 10_000)
    const queue = new SendQueue()
    for (let at = 0; at < data.length;) {
      const chunk = data.subarray(at, (at += 1 + below(random, 3000)))
      queue.push(chunk)
    }
    const frames: Buffer[] = []

    new TcpFrames(PATH).data(
      { queue, offset: 3, bytes: 9001, mss: 1460 },
      { sequence: 0xffff_ff00, acknowledged: 77, flags: FLAG.psh | FLAG.fin, window: 99 },
      (frame) => frames.push(frame),
    )

    const segments = frames.map(readWire)
    expect(Buffer.concat(segments.map(({ payload }) => payload)).equals(data.subarray(3, 9004))).toBe(true)
    expect(segments.map(({ payload }) => payload.length)).toEqual([1460, 1460, 1460, 1460, 1460, 1460, 241])
    expect(segments.map(({ flags }) => flags)).toEqual(['A', 'A', 'A', 'A', 'A', 'A', 'FPA'])
    expect(segments[1]).toMatchObject({ sequence: 0xffff_ff00 + 1460 - 2 ** 32, acknowledged: 77, window: 99 })
    expect(segments[0]).toMatchObject({ source: HOST, destination: GUEST, sourcePort: 80, destinationPort: 40_000 })
  })

  test('carry options', () => {
    const frame = new TcpFrames(PATH).control({
      sequence: 5,
      acknowledged: 0,
      flags: FLAG.syn,
      window: 65_535,
      options: synOptions(1460, 5, true),
    })

    expect(readWire(frame)).toMatchObject({
      flags: 'S',
      options: [
        [2, Buffer.from([5, 180])],
        [4, Buffer.alloc(0)],
        [3, Buffer.from([5])],
      ],
    })
  })
})

test('the send queue gives any part of what was pushed, and gathers crumbs', () => {
  const { random } = seededRandom()
  const queue = new SendQueue()
  let model = Buffer.alloc(0)
  for (let round = 0; round < 2000; round++) {
    const chunk = bytes(random, random() < 0.7 ? below(random, 20) : below(random, 3000))
    queue.push(chunk)
    model = Buffer.concat([model, chunk])
    const dropped = below(random, Math.min(model.length, 2500) + 1)
    if (random() < 0.4) {
      queue.drop(dropped)
      model = model.subarray(dropped)
    }
    const offset = below(random, model.length + 1)
    const length = below(random, model.length - offset + 1)
    const target = Buffer.alloc(length + 5)
    queue.copy(offset, length, target, 5)
    expect(queue.bytes).toBe(model.length)
    expect(target.subarray(5).equals(model.subarray(offset, offset + length))).toBe(true)
  }
})

test('reassembly gives every byte once, whatever overlaps', () => {
  const { random } = seededRandom()
  for (let round = 0; round < 200; round++) {
    const data = bytes(random, 2000)
    const first = plus(0xffff_ffff, -below(random, 2000))
    const early = new Reassembly()
    const has = new Array<boolean>(data.length).fill(false)
    for (let piece = 0; piece < 40; piece++) {
      const at = below(random, data.length)
      const end = Math.min(data.length, at + below(random, 300))
      early.add(plus(first, at), data, at, end)
      has.fill(true, at, end)
    }
    const blocks = early.blocks()
    for (let edge = 0; edge < blocks.length; edge += 2) {
      const [left, right] = [distance(first, blocks[edge]!), distance(first, blocks[edge + 1]!)]
      expect(has.slice(left, right).every(Boolean)).toBe(true)
      expect([has[left - 1] ?? false, has[right] ?? false]).toEqual([false, false])
    }
    const taken: (Buffer | null)[] = []
    for (let at = 0; at < data.length;) {
      const piece = early.take(plus(first, at))
      expect(piece !== null).toBe(has[at])
      taken.push(piece ?? data.subarray(at, at + 1))
      at += piece?.length ?? 1
    }
    expect(Buffer.concat(taken.map((piece) => piece!)).equals(data)).toBe(true)
    expect(early.held).toBe(0)
  }
})

/** The frame with another length of the TCP header in it, and a checksum that is right for that. */
function withHeaderOf(frame: Buffer, headerBytes: number): Buffer {
  const other = Buffer.from(frame)
  other[34 + 12] = (headerBytes / 4) << 4
  other.writeUInt16BE(0, 34 + 16)
  const tcp = other.subarray(34)
  const pseudo = Buffer.concat([other.subarray(26, 34), Buffer.from([0, 6, tcp.length >> 8, tcp.length & 255])])
  other.writeUInt16BE(folded(wordSum(Buffer.concat([pseudo, tcp]), 0, 12 + tcp.length)), 34 + 16)
  return other
}
