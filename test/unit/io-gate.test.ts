import { describe, expect, test } from 'vitest'
import { NO_RATES, type IoRates } from '../../vmm/model/policy-io'
import type { Gate, GateKind } from '../../vmm/throttle/gate'
import { GateChain, IoGate } from '../../vmm/throttle/io-gate'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { SimulatedClock } from '../support/simulated-clock'

const MB = 1e6
const rates = (some: Partial<IoRates>): IoRates => ({ ...NO_RATES, ...some })

/** Asks again and again, `depth` at a time, until stopped; counts what passed. */
function load(gate: Gate, options: { bytes?: () => number; kind?: GateKind; depth?: number } = {}) {
  const { bytes = () => 131_072, kind = 'read', depth = 1 } = options
  const passed = { bytes: 0, operations: 0, stop: false }
  const one = async () => {
    while (!passed.stop) {
      const size = bytes()
      await gate.pass(kind, size)
      passed.bytes += size
      passed.operations++
    }
  }
  for (let count = 0; count < depth; count++) void one()
  return passed
}

/** Lets time pass with the promises that it resolves. */
async function run(clock: SimulatedClock, ms: number): Promise<void> {
  for (let at = 0; at < ms; at++) {
    for (let turn = 0; turn < 200; turn++) await Promise.resolve()
    clock.advance(1)
  }
}

/** What passes in `ms`, beginning when the burst that was saved is used up. */
async function measured(clock: SimulatedClock, passed: { bytes: number; operations: number }, ms: number) {
  await run(clock, 500)
  const before = { ...passed }
  await run(clock, ms)
  return {
    bytes: ((passed.bytes - before.bytes) / ms) * 1000,
    operations: ((passed.operations - before.operations) / ms) * 1000,
  }
}

function within(value: number, rate: number): void {
  expect(Math.abs(value / rate - 1)).toBeLessThanOrEqual(0.01)
}

describe('IoGate', () => {
  test('lets everything pass at once without rates', () => {
    const gate = new IoGate(new SimulatedClock(), NO_RATES)
    for (let count = 0; count < 1000; count++) expect(gate.pass('write', 1e9)).toBeNull()
    expect(gate.counters('write')).toEqual({ bytes: 1e12, operations: 1000, waitedMs: 0 })
  })

  test.each([1, 4, 20, 100])('%d MB/s with late timers, and after a live change', async (rate) => {
    const { random } = seededRandom()
    const clock = new SimulatedClock(random, () => random() * 20)
    const gate = new IoGate(clock, rates({ readBytes: rate * MB, writeBytes: 1 }))
    const passed = load(gate, { bytes: () => 4096 * (1 + below(random, 32)), depth: 4 })
    within((await measured(clock, passed, 20_000)).bytes, rate * MB)

    gate.set(rates({ readBytes: (rate / 2) * MB }))
    within((await measured(clock, passed, 20_000)).bytes, (rate / 2) * MB)
    passed.stop = true
  })

  test.each([100, 1000])('%d operations a second, and after a live change', async (rate) => {
    const { random } = seededRandom()
    const clock = new SimulatedClock(random, () => random() * 20)
    const gate = new IoGate(clock, rates({ writeOps: rate }))
    const passed = load(gate, { kind: 'write', depth: 2 })
    within((await measured(clock, passed, 20_000)).operations, rate)

    gate.set(rates({ writeOps: rate * 2 }))
    within((await measured(clock, passed, 20_000)).operations, rate * 2)
    passed.stop = true
  })

  test.each([1, 4, 20, 100])('three domains share %d MB/s', async (rate) => {
    const clock = new SimulatedClock()
    const group = new IoGate(clock, rates({ readBytes: rate * MB }))
    const all = [1, 2, 3].map(() => {
      const domain = new IoGate(clock, NO_RATES)
      return load(new GateChain([new IoGate(clock, NO_RATES), domain, group]))
    })
    await run(clock, 500)
    const before = all.map(({ bytes }) => bytes)
    await run(clock, 20_000)
    const each = all.map(({ bytes }, index) => (bytes - before[index]!) / 20)
    for (const passed of all) passed.stop = true

    within(
      each.reduce((sum, value) => sum + value),
      rate * MB,
    )
    for (const value of each) expect(Math.abs(value / ((rate * MB) / 3) - 1)).toBeLessThan(0.05)
  })

  test('a device that is slower than its group takes its own part and leaves the rest to others', async () => {
    const clock = new SimulatedClock()
    const group = new IoGate(clock, rates({ readBytes: 20 * MB }))
    const slow = load(new GateChain([new IoGate(clock, rates({ readBytes: 1 * MB })), group]), { depth: 64 })
    const fast = load(new GateChain([new IoGate(clock, NO_RATES), group]), { depth: 1 })
    await run(clock, 10_500)
    slow.stop = fast.stop = true

    expect(slow.bytes / 10.5).toBeGreaterThan(0.97 * MB)
    expect(slow.bytes / 10.5).toBeLessThan(1.03 * MB)
    expect((slow.bytes + fast.bytes) / 10.5).toBeGreaterThan(19.7 * MB)
    expect((slow.bytes + fast.bytes) / 10.5).toBeLessThan(20.3 * MB)
  })

  test('lets pass in the order of arrival', async () => {
    const clock = new SimulatedClock()
    const gate = new IoGate(clock, rates({ readBytes: 1000 }))
    const order: number[] = []
    for (const [index, bytes] of [1000, 1, 5000, 1, 1].entries())
      void Promise.resolve(gate.pass('read', bytes)).then(() => order.push(index))
    await run(clock, 5500)
    expect(order).toEqual([0, 1, 2])
    await run(clock, 1000)
    expect(order).toEqual([0, 1, 2, 3, 4])
  })

  test('a request larger than the burst passes, and is owed', async () => {
    const clock = new SimulatedClock()
    const gate = new IoGate(clock, rates({ writeBytes: 1000 }))
    expect(gate.pass('write', 3000)).toBeNull()
    let passed = false
    void gate.pass('write', 1)?.then(() => (passed = true))
    await run(clock, 2999)
    expect(passed).toBe(false)
    await run(clock, 2)
    expect(passed).toBe(true)
    expect(gate.counters('write')).toEqual({ bytes: 3001, operations: 2, waitedMs: 3000 })
  })

  test('what waits can be given up, and costs nothing then', async () => {
    const clock = new SimulatedClock()
    const device = new IoGate(clock, rates({ readBytes: 1000 }))
    const chain = new GateChain([device, new IoGate(clock, NO_RATES)])
    expect(chain.pass('read', 1000)).toBeNull()
    const abort = new AbortController()
    const given = chain.pass('read', 1e9, abort.signal)
    const after = chain.pass('read', 1)
    abort.abort(new Error('flushed'))

    await expect(given).rejects.toThrow('flushed')
    await expect(chain.pass('read', 1, abort.signal)).rejects.toThrow('flushed')
    await run(clock, 1001)
    await after
    expect(device.waiting).toBe(0)
    expect(device.counters('read')).toMatchObject({ bytes: 1001, operations: 2 })
  })

  test('who waits when the limit goes passes at once', async () => {
    const clock = new SimulatedClock()
    const gate = new IoGate(clock, rates({ readBytes: 1 }))
    void gate.pass('read', 1e6)
    const waits = gate.pass('read', 1)
    gate.set(NO_RATES)

    await waits
    expect(clock.timers).toBe(0)
  })

  test('nobody is forgotten while time goes on between two looks at the clock', async () => {
    const clock = new SimulatedClock()
    const restless = {
      now: () => {
        clock.advance(0.01)
        return clock.now()
      },
      later: (ms: number, work: () => void) => clock.later(ms, work),
      random32: () => 0,
    }
    const passed = load(new IoGate(restless, rates({ readBytes: 1 * MB })), { bytes: () => 1000 })
    await run(clock, 2000)
    const before = passed.bytes
    await run(clock, 2000)
    passed.stop = true

    expect(passed.bytes).toBeGreaterThan(before)
  })

  test('who waits for its device is not forgotten when others have spent the shared budget meanwhile', async () => {
    const clock = new SimulatedClock()
    const group = new IoGate(clock, rates({ readBytes: 1000 }))
    const slow = new GateChain([new IoGate(clock, rates({ readBytes: 1000 })), group])
    const other = new GateChain([new IoGate(clock, NO_RATES), group])
    expect(slow.pass('read', 1000)).toBeNull()
    let done = false
    void slow.pass('read', 1)?.then(() => (done = true))
    await run(clock, 1001)
    expect(done).toBe(true)
    done = false
    clock.advance(10_000)
    expect(slow.pass('read', 2000)).toBeNull()
    void slow.pass('read', 1)?.then(() => (done = true))
    group.set(NO_RATES)
    expect(other.pass('read', 1)).toBeNull()
    group.set(rates({ readBytes: 1000 }))
    expect(other.pass('read', 5000)).toBeNull()
    await run(clock, 5100)

    expect(done).toBe(true)
  })
})
