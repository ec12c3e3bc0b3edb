import { describe, expect, test } from 'vitest'
import { Impairment } from '../../vmm/net/impairment'
import { udpFrame } from '../support/network-frames'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { SimulatedClock } from '../support/simulated-clock'

function trial(delayMs: number, lossPercent: number, clock = new SimulatedClock()) {
  const delivered: { at: number; frame: Buffer }[] = []
  const line = new Impairment({
    clock,
    delayMs,
    lossPercent,
    deliver: (frame) => void delivered.push({ at: clock.now(), frame }),
  })
  return { clock, line, delivered }
}

test('without delay and loss a frame passes at once', () => {
  const { clock, line, delivered } = trial(0, 0)

  expect(line.push(udpFrame({ bytes: 100 }))).toBe(true)

  expect(delivered.length).toBe(1)
  expect(clock.timers).toBe(0)
})

test('every frame is delayed by as much as was asked, and a millisecond at most beyond', () => {
  const { random } = seededRandom()
  const { clock, line, delivered } = trial(50, 0)
  const sent: number[] = []
  for (let count = 0; count < 1000; count++) {
    sent.push(clock.now())
    line.push(udpFrame({ bytes: 100 }))
    clock.advance(random() * 5)
  }
  clock.advance(100)

  const delays = delivered.map(({ at }, index) => at - sent[index]!)
  expect(delays.length).toBe(1000)
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(50)
  expect(Math.max(...delays)).toBeLessThanOrEqual(51)
  expect(clock.timers).toBe(0)
})

test.each([0.1, 1, 5, 50, 100])('%d percent of the frames are lost, and the sender does not notice', (lossPercent) => {
  const { random } = seededRandom()
  const { line, delivered } = trial(0, lossPercent, new SimulatedClock(random))
  const frame = udpFrame({ bytes: 60 })
  const sent = 100_000
  let taken = 0
  for (let count = 0; count < sent; count++) if (line.push(frame)) taken++

  expect(taken).toBe(sent)

  // five standard deviations of the binomial distribution
  const slack = 5 * Math.sqrt(sent * (lossPercent / 100) * (1 - lossPercent / 100))
  expect(Math.abs(line.lost - (sent * lossPercent) / 100)).toBeLessThanOrEqual(slack)
  expect(delivered.length).toBe(sent - line.lost)
})

describe('order', () => {
  test('stays, whatever the delay is changed to', () => {
    const { random } = seededRandom()
    const { clock, line, delivered } = trial(20, 0, new SimulatedClock(random, () => random() * 5))
    const frames = Array.from({ length: 2000 }, () => udpFrame({ bytes: 60 }))
    for (const frame of frames) {
      if (below(random, 10) === 0) line.set(below(random, 60), 0)
      line.push(frame)
      clock.advance(random() * 4)
    }
    clock.advance(1000)

    expect(delivered.map(({ frame }) => frames.indexOf(frame))).toEqual([...frames.keys()])
  })

  test('stays when a delivery sends', () => {
    const clock = new SimulatedClock()
    const order: number[] = []
    const line: Impairment = new Impairment({
      clock,
      delayMs: 5,
      lossPercent: 0,
      deliver: (frame) => {
        order.push(frame.length)
        if (frame.length !== 100) return
        line.set(0, 0)
        line.push(udpFrame({ bytes: 102 }))
      },
    })
    line.push(udpFrame({ bytes: 100 }))
    line.push(udpFrame({ bytes: 101 }))
    clock.advance(20)

    expect(order).toEqual([100, 101, 102])
  })
})

test('what is on its way is bounded, in bytes and in frames', () => {
  const { clock, line, delivered } = trial(10_000, 0)
  const [long, short] = [udpFrame({ bytes: 1514 }), udpFrame({ bytes: 60 })]
  let taken = 0
  while (line.push(long)) taken++
  expect(taken * long.length).toBeLessThanOrEqual(4 * 1024 * 1024)
  clock.advance(20_000)
  expect(delivered.length).toBe(taken)

  let small = 0
  while (line.push(short)) small++
  expect(small).toBe(16_384)
  expect(line.dropped).toBe(2)
})

test('after its end nothing is delivered, and no timer is left', () => {
  const { clock, line, delivered } = trial(10, 0)
  line.push(udpFrame({ bytes: 60 }))

  line.close()
  clock.advance(100)

  expect(delivered).toEqual([])
  expect(clock.timers).toBe(0)
  expect(line.push(udpFrame({ bytes: 60 }))).toBe(false)
})
