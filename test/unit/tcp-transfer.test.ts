import { describe, expect, test } from 'vitest'
import type { WireFaults } from '../support/lossy-wire'
import { below, bytes, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { TcpLine, type LineOptions } from '../support/tcp-line'

const MEBIBYTE = 2 ** 20

/** Sends `data` from the host to the guest in chunks; returns the simulated milliseconds until all was read. */
function download(line: TcpLine, data: Buffer, within: number): number {
  let at = 0
  line.host.onSettled = () => {
    while (at < data.length && line.connection.queued < MEBIBYTE)
      line.connection.write(data.subarray(at, (at += 65_536)))
    if (at >= data.length) line.connection.end()
  }
  line.connection.settle()
  return line.until(() => line.peer.ended, within)
}

function upload(line: TcpLine, data: Buffer, within: number): number {
  line.peer.write(data)
  line.peer.end()
  return line.until(() => line.host.guestEnded, within)
}

function lineOf(random: Random, options: Omit<LineOptions, 'random'>): TcpLine {
  return new TcpLine({ random, ...options }).connect()
}

describe.each<{ what: string; faults: WireFaults; withinMs: number }>([
  { what: 'a clean line', faults: {}, withinMs: 200 },
  { what: '0.1 % loss', faults: { loss: 0.001 }, withinMs: 3000 },
  { what: '1 % loss', faults: { loss: 0.01 }, withinMs: 6000 },
  { what: '5 % loss', faults: { loss: 0.05 }, withinMs: 10_000 },
  { what: 'duplicates', faults: { duplicates: 0.05 }, withinMs: 1000 },
  { what: 'frames that overtake each other', faults: { late: 0.1 }, withinMs: 3000 },
  { what: 'all of these', faults: { loss: 0.02, duplicates: 0.02, late: 0.1 }, withinMs: 10_000 },
])('5 MB over $what', ({ faults, withinMs }) => {
  // both first sequence numbers are near the end of their range
  const first = 0xffff_f000

  test('reach the guest', () => {
    const { random } = seededRandom()
    const data = Buffer.alloc(5_000_000)
    for (let at = 0; at < data.length; at += 4) data.writeUInt32LE(at, at)
    const line = lineOf(random, { toGuest: faults, toHost: faults, first })

    const took = download(line, data, withinMs)

    console.log(`down: ${took} ms, ${line.toGuest.sent} frames, ${line.toGuest.lost} lost`)
    expect(took).toBeLessThan(withinMs)
    expect(Buffer.concat(line.peer.received).equals(data)).toBe(true)
  })

  test('reach the host', () => {
    const { random } = seededRandom()
    const data = Buffer.alloc(5_000_000)
    for (let at = 0; at < data.length; at += 4) data.writeUInt32LE(at, at)
    const line = lineOf(random, { toGuest: faults, toHost: faults, first })

    const took = upload(line, data, withinMs)

    console.log(`up: ${took} ms, ${line.toHost.sent} frames, ${line.toHost.lost} lost`)
    expect(took).toBeLessThan(withinMs)
    expect(Buffer.concat(line.host.received).equals(data)).toBe(true)
  })
})

test.each([
  ['without SACK', { sack: false }],
  ['without scaled windows', { scaled: false }],
  ['with a small buffer', { buffer: 4000 }],
])('a guest %s gets and sends all over a bad line', (_what, guest) => {
  const { random } = seededRandom()
  const data = bytes(random, 300_000)
  const faults = { loss: 0.01, late: 0.02 }
  const line = lineOf(random, { toGuest: faults, toHost: faults, ...guest })

  upload(line, data, 300_000)
  download(line, data, 300_000)

  expect(Buffer.concat(line.peer.received).equals(data)).toBe(true)
  expect(Buffer.concat(line.host.received).equals(data)).toBe(true)
})

test('sequence numbers wrap at every place of a transfer', () => {
  const { random } = seededRandom()
  const data = bytes(random, 20_000)
  for (let round = 0; round < 60; round++) {
    const faults = { loss: 0.05, late: 0.05 }
    const line = lineOf(random, { toGuest: faults, toHost: faults, first: 2 ** 32 - 1 - below(random, 22_000) })
    // ours is random as well: it is moved near the end by the clock's randomness
    upload(line, data, 60_000)
    download(line, data, 60_000)
    expect(Buffer.concat(line.peer.received).equals(data)).toBe(true)
    expect(Buffer.concat(line.host.received).equals(data)).toBe(true)
  }
})

test('our own sequence numbers wrap', () => {
  const { random } = seededRandom()
  const data = bytes(random, 100_000)
  // the first number that the endpoint draws is its first sequence number
  let drawn = 0
  const near = (): number => (drawn++ === 0 ? 1 - 30_000 / 2 ** 32 : random())
  const line = lineOf(near, { toGuest: { loss: 0.02 }, toHost: { loss: 0.02 } })

  download(line, data, 60_000)

  expect(Buffer.concat(line.peer.received).equals(data)).toBe(true)
})

test('both ways at once over a bad line', () => {
  const { random } = seededRandom()
  const up = bytes(random, 400_000)
  const down = bytes(random, 400_000)
  const faults = { loss: 0.02, duplicates: 0.01, late: 0.05 }
  const line = lineOf(random, { toGuest: faults, toHost: faults })
  line.peer.write(up)
  line.peer.end()
  download(line, down, 60_000)
  line.until(() => line.host.guestEnded, 60_000)

  expect(Buffer.concat(line.host.received).equals(up)).toBe(true)
  expect(Buffer.concat(line.peer.received).equals(down)).toBe(true)
})
