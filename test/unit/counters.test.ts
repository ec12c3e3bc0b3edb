import { describe, expect, test } from 'vitest'
import { loadBetween, ZERO_COUNTERS, type Counters } from '../../vmm/model/counters'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

function reading(change: Partial<Counters>): Counters {
  return { ...ZERO_COUNTERS, ...change }
}

describe('loadBetween', () => {
  test('rates are per second of the wall clock, load is the part of running time not halted', () => {
    const before = reading({ at: 1000, ranMs: 1000, haltedMs: 500, instructions: 1e6, diskReadBytes: 10 })
    const after = reading({
      at: 3000,
      ranMs: 2000,
      haltedMs: 750,
      instructions: 5e6,
      diskReadBytes: 110,
      diskWriteBytes: 50,
      diskReadOps: 4,
      diskWriteOps: 2,
      hostBytes: 7,
      guestUsedBytes: 8,
    })

    expect(loadBetween(before, after)).toEqual({
      at: 3000,
      cpu: 0.75,
      instructionsPerSecond: 2e6,
      hostBytes: 7,
      guestUsedBytes: 8,
      diskReadPerSecond: 50,
      diskWritePerSecond: 25,
      diskReadOpsPerSecond: 2,
      diskWriteOpsPerSecond: 1,
    })
  })

  test('a paused guest has no load', () => {
    const before = reading({ at: 1000, ranMs: 500, instructions: 9 })

    expect(loadBetween(before, { ...before, at: 2000 })).toMatchObject({ cpu: 0, instructionsPerSecond: 0 })
  })

  test.each([
    ['the same moment', { at: 1000 }],
    ['a clock set back', { at: 500 }],
    ['another run, by time', { at: 2000, ranMs: 1 }],
    ['another run, by instructions', { at: 2000, instructions: 1 }],
  ])('%s gives no sample', (_, change) => {
    const before = reading({ at: 1000, ranMs: 100, instructions: 100 })

    expect(loadBetween(before, { ...before, ...change })).toBeNull()
  })

  test('load stays between 0 and 1 whatever the counters say', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 1000; round++) {
      const before = reading({ at: below(random, 100), ranMs: below(random, 100), haltedMs: below(random, 1000) })
      const after = reading({ at: 101, ranMs: 100 + below(random, 100), haltedMs: below(random, 1000) })

      const cpu = loadBetween(before, after)?.cpu ?? -1

      expect(cpu).toBeGreaterThanOrEqual(0)
      expect(cpu).toBeLessThanOrEqual(1)
    }
  })
})
