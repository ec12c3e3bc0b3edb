import { describe, expect, test } from 'vitest'
import { TokenBucket } from '../../vmm/throttle/token-bucket'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { SimulatedClock } from '../support/simulated-clock'

/** 8000 bits a second are a byte each millisecond. */
const BYTE_PER_MS = 8000

describe('TokenBucket', () => {
  test('is full at first, and never holds more than the burst', () => {
    const clock = new SimulatedClock()
    const bucket = new TokenBucket(clock, BYTE_PER_MS, 100)

    clock.advance(10_000)

    expect(bucket.take(60)).toBe(true)
    expect(bucket.take(41)).toBe(false)
    expect(bucket.take(40)).toBe(true)
  })

  test('fills with the time that passes', () => {
    const clock = new SimulatedClock()
    const bucket = new TokenBucket(clock, BYTE_PER_MS, 100)
    bucket.take(100)

    expect(bucket.waitMs(30)).toBe(30)
    clock.advance(29)
    expect(bucket.take(30)).toBe(false)
    clock.advance(1)
    expect(bucket.waitMs(30)).toBe(0)
    expect(bucket.take(30)).toBe(true)
  })

  test('gives more than its burst when it is full, and then owes it', () => {
    const clock = new SimulatedClock()
    const bucket = new TokenBucket(clock, BYTE_PER_MS, 100)

    expect(bucket.take(250)).toBe(true)
    expect(bucket.waitMs(100)).toBe(250)
    clock.advance(249)
    expect(bucket.take(100)).toBe(false)
    clock.advance(1)
    expect(bucket.take(100)).toBe(true)
  })

  test('without a rate there is no limit', () => {
    const bucket = new TokenBucket(new SimulatedClock(), 0, 0)

    expect(bucket.unlimited).toBe(true)
    expect(bucket.take(1e12)).toBe(true)
    expect(bucket.waitMs(1e12)).toBe(0)
  })

  test('a new rate holds from then on, and a smaller burst at once', () => {
    const clock = new SimulatedClock()
    const bucket = new TokenBucket(clock, BYTE_PER_MS, 100)
    bucket.take(100)
    clock.advance(50)

    bucket.set(2 * BYTE_PER_MS, 100)
    expect(bucket.waitMs(100)).toBe(25)

    bucket.set(BYTE_PER_MS, 10)
    expect(bucket.take(10)).toBe(true)
    expect(bucket.waitMs(10)).toBe(10)
  })

  test('however it is asked, it gives no more than the rate and one burst, and no less than the rate', () => {
    const { random } = seededRandom()
    const clock = new SimulatedClock(random)
    const [bytesPerMs, burst] = [1 + random() * 1000, 3000 + below(random, 10_000)]
    const bucket = new TokenBucket(clock, bytesPerMs * 8000, burst)
    let taken = 0
    for (let step = 0; step < 50_000; step++) {
      const bytes = 60 + below(random, 1455)
      while (bucket.take(bytes)) taken += bytes
      clock.advance(bucket.waitMs(bytes) * random() * 2)
    }

    expect(taken).toBeLessThanOrEqual(burst + clock.now() * bytesPerMs + 1)
    expect(taken).toBeGreaterThan(clock.now() * bytesPerMs * 0.99)
  })
})
