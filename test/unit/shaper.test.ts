import { describe, expect, test } from 'vitest'
import { Shaper } from '../../vmm/net/shaper'
import { udpFrame } from '../support/network-frames'
import { below, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { SimulatedClock } from '../support/simulated-clock'

const MBIT = 1e6
const WHOLE = 1514

/** A shaper on a clock whose timers come up to `lateMs` late, and what it delivered when. */
function trial(random: Random, bitsPerSecond: number, { burstBytes = 0, lateMs = 0 } = {}) {
  const clock = new SimulatedClock(random, () => random() * lateMs)
  const delivered: { at: number; frame: Buffer }[] = []
  const shaper = new Shaper({
    clock,
    bitsPerSecond,
    burstBytes,
    deliver: (frame) => void delivered.push({ at: clock.now(), frame }),
  })
  return { clock, shaper, delivered }
}

/** Pushes frames of one flow until one is dropped. Returns how many were taken. */
function pushAll(shaper: Shaper): number {
  let taken = 0
  while (shaper.push(udpFrame({ bytes: WHOLE }))) taken++
  return taken
}

const total = (frames: readonly { frame: Buffer }[]) => frames.reduce((sum, { frame }) => sum + frame.length, 0)

describe.each([1, 10, 100])('at %d Mbit/s', (rate) => {
  test.each([0, 3, 10])('passes that much in ten seconds, with timers up to %d ms late', (lateMs) => {
    const { random } = seededRandom()
    const { clock, shaper, delivered } = trial(random, rate * MBIT, { lateMs })
    const frames = Math.ceil((rate * MBIT * 2) / 8000 / WHOLE) // a millisecond of twice the rate
    const frame = udpFrame({ bytes: WHOLE })

    for (let ms = 0; ms < 10_000; ms++) {
      for (let count = 0; count < frames; count++) shaper.push(frame)
      clock.advance(1)
    }

    const share = (total(delivered) * 8) / 10 / (rate * MBIT)
    expect(share).toBeGreaterThan(0.98)
    expect(share).toBeLessThan(1.02)
  })

  test('never passes more than the burst at once', () => {
    const { random } = seededRandom()
    const burstBytes = 5000 + below(random, 100_000)
    const { clock, shaper, delivered } = trial(random, rate * MBIT, { burstBytes, lateMs: 60 })

    for (let step = 0; step < 2000; step++) {
      for (let count = below(random, 40); count > 0; count--) shaper.push(udpFrame({ bytes: 60 + below(random, 1455) }))
      clock.advance(random() * 20)
    }

    let most = 0
    for (let from = 0; from < delivered.length; from += 50) {
      let bytes = 0
      for (let to = from; to < Math.min(delivered.length, from + 400); to++) {
        bytes += delivered[to]!.frame.length
        most = Math.max(most, bytes - ((delivered[to]!.at - delivered[from]!.at) * rate * MBIT) / 8000)
      }
    }
    expect(most).toBeGreaterThan(WHOLE)
    expect(most).toBeLessThanOrEqual(burstBytes + 1)
  })
})

describe('a ping beside a transfer at 10 Mbit/s', () => {
  /** Longest that a small frame waits, milliseconds. */
  function longestWait(random: Random, pingPort: number): number {
    const { clock, shaper, delivered } = trial(random, 10 * MBIT, { lateMs: 2 })
    const sent = new Map<Buffer, number>()
    for (let ms = 0; ms < 5000; ms++) {
      for (let count = 0; count < 3; count++) shaper.push(udpFrame({ bytes: WHOLE, port: 1 }))
      const ping = udpFrame({ bytes: 98, port: pingPort })
      if (ms % 10 === 0 && shaper.push(ping)) sent.set(ping, clock.now())
      clock.advance(1)
    }
    const waits = delivered.filter(({ frame }) => sent.has(frame)).map(({ at, frame }) => at - sent.get(frame)!)
    expect(waits.length).toBeGreaterThan(20)
    return Math.max(...waits)
  }

  test('goes first', () => {
    expect(longestWait(seededRandom().random, 2)).toBeLessThan(5)
  })

  test('waits for a short queue when it is part of the transfer', () => {
    expect(longestWait(seededRandom().random, 1)).toBeLessThan(30)
  })
})

test('frames of a flow keep their order, and each frame is delivered, dropped or waits', () => {
  const { random } = seededRandom()
  const { clock, shaper, delivered } = trial(random, MBIT, { lateMs: 3 })
  const flows = new Map<number, Buffer[]>()
  let pushed = 0
  for (let step = 0; step < 5000; step++) {
    const port = pick(random, [1, 2, 3, 4, 5])
    const frame = udpFrame({ bytes: pick(random, [60, 90, 400, WHOLE]), port })
    pushed++
    if (shaper.push(frame)) flows.set(port, [...(flows.get(port) ?? []), frame])
    clock.advance(random() * 8)
  }
  const waiting = shaper.queuedBytes
  const before = delivered.length
  clock.advance(1000)

  expect(shaper.dropped).toBeGreaterThan(100)
  expect(delivered.length + shaper.dropped).toBe(pushed)
  expect(total(delivered.slice(before))).toBe(waiting)
  for (const frames of flows.values()) {
    const places = frames.map((frame) => delivered.findIndex((other) => other.frame === frame))
    expect(places).toEqual([...places].sort((a, b) => a - b))
  }
})

describe('a sender that can wait', () => {
  test.each([1, 10, 100])('loses nothing, and gets the rate of %d Mbit/s', (rate) => {
    const { random } = seededRandom()
    const { clock, shaper, delivered } = trial(random, rate * MBIT, { lateMs: 2 })
    const send = () => {
      while (shaper.hasRoom()) shaper.push(udpFrame({ bytes: WHOLE }))
    }
    shaper.onRoom = send

    send()
    clock.advance(10_000)

    expect(shaper.dropped).toBe(0)
    const share = (total(delivered) * 8) / 10 / (rate * MBIT)
    expect(share).toBeGreaterThan(0.98)
    expect(share).toBeLessThan(1.02)
  })

  test('is told once, and not when it never had to wait', () => {
    const { clock, shaper } = trial(() => 0.5, MBIT)
    let told = 0
    shaper.onRoom = () => told++
    shaper.push(udpFrame({ bytes: WHOLE }))
    clock.advance(1000)
    expect(told).toBe(0)

    pushAll(shaper)
    clock.advance(1000)
    expect(told).toBe(1)
  })
})

describe('a limit', () => {
  test('can be changed while frames wait', () => {
    const { clock, shaper, delivered } = trial(() => 0.5, MBIT)
    const taken = pushAll(shaper)
    const before = delivered.length

    shaper.set(100 * MBIT, 0)
    clock.advance(1)

    expect(before).toBe(2)
    expect(delivered.length).toBe(taken)
    expect(shaper.queuedBytes).toBe(0)
  })

  test('that ends lets all that waits go at once', () => {
    const { clock, shaper, delivered } = trial(() => 0.5, MBIT)
    const taken = pushAll(shaper)

    shaper.set(0, 0)

    expect(shaper.queuedBytes).toBe(0)
    expect(delivered.length).toBe(taken)
    expect(shaper.push(udpFrame({ bytes: WHOLE }))).toBe(true)
    expect(clock.timers).toBe(0)
  })

  test('changed by the delivery itself neither loses nor repeats a frame', () => {
    const clock = new SimulatedClock()
    const delivered: Buffer[] = []
    const shaper: Shaper = new Shaper({
      clock,
      bitsPerSecond: MBIT,
      burstBytes: 0,
      deliver: (frame) => {
        delivered.push(frame)
        if (delivered.length === 3) shaper.set(0, 0)
        if (delivered.length === 4) shaper.push(frames[4]!)
      },
    })
    const frames = Array.from({ length: 5 }, () => udpFrame({ bytes: WHOLE }))

    for (const frame of frames.slice(0, 4)) shaper.push(frame)
    clock.advance(1000)

    expect(delivered).toEqual(frames)
  })

  test('smaller than a frame still lets frames through, at its rate', () => {
    const { clock, shaper, delivered } = trial(() => 0.5, 8000, { burstBytes: 1 })
    for (let count = 0; count < 5; count++) shaper.push(udpFrame({ bytes: WHOLE }))

    clock.advance(2 * WHOLE)

    expect(delivered.length).toBe(3)
  })
})

test('nothing that waits means no timer, and neither does the end', () => {
  const { clock, shaper, delivered } = trial(() => 0.5, MBIT)
  shaper.push(udpFrame({ bytes: WHOLE }))
  expect(clock.timers).toBe(0)

  pushAll(shaper)
  expect(clock.timers).toBe(1)
  clock.advance(1000)
  expect(clock.timers).toBe(0)

  pushAll(shaper)
  const before = delivered.length
  shaper.close()
  clock.advance(1000)
  expect({ timers: clock.timers, more: delivered.length - before, queued: shaper.queuedBytes }).toEqual({
    timers: 0,
    more: 0,
    queued: 0,
  })
  expect(shaper.push(udpFrame({ bytes: 60 }))).toBe(false)
})

test('hostile bytes are frames as any other', () => {
  const { random } = seededRandom()
  const { clock, shaper, delivered } = trial(random, 10 * MBIT)
  let taken = 0
  for (let round = 0; round < 3000; round++) {
    const frame = Buffer.alloc(below(random, 80))
    for (let at = 0; at < frame.length; at++) frame[at] = below(random, 256)
    if (frame.length > 14 && round % 2) frame.set([8, 0, 0x45 + below(random, 11)], 12)
    if (shaper.push(frame)) taken++
    clock.advance(random())
  }
  clock.advance(1000)

  expect(delivered.length).toBe(taken)
})
