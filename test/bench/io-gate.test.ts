import { test } from 'vitest'
import { NO_RATES, type IoRates } from '../../vmm/model/policy-io'
import type { Gate } from '../../vmm/throttle/gate'
import { GateChain, IoGate } from '../../vmm/throttle/io-gate'
import { realClock } from '../support/real-clock'
import { report } from './figures'

const ROUNDS = 3
const ROUND_MS = 5000
const REQUEST = 131_072
const SMALL = 4096

/** Bytes that pass through all of `gates` together in a second, percent of `rate`; each has one request at a time. */
async function percent(gates: readonly Gate[], bytes: number, rate: number): Promise<number> {
  let passed = 0
  const until = performance.now() + ROUND_MS
  const load = async (gate: Gate): Promise<void> => {
    while (performance.now() < until) {
      await gate.pass('read', bytes)
      passed += bytes
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const begun = performance.now()
  await Promise.all(gates.map(load))
  return ((passed / (performance.now() - begun)) * 1000 * 100) / rate
}

const trials: { name: string; rates: Partial<IoRates>; bytes: number; rate: number }[] = [
  ...[1, 4, 20, 100].map((rate) => ({
    name: `${rate} MB/s`,
    rates: { readBytes: rate * 1e6 },
    bytes: REQUEST,
    rate: rate * 1e6,
  })),
  ...[100, 1000].map((rate) => ({ name: `${rate} op/s`, rates: { readOps: rate }, bytes: SMALL, rate: rate * SMALL })),
]

test.each(trials)('$name alone, shared by three and after a live change', async ({ name, rates, bytes, rate }) => {
  const figures: Record<string, number[]> = { alone: [], 'as three': [], 'after a change': [] }
  for (let round = 0; round < ROUNDS; round++) {
    const set = { ...NO_RATES, ...rates }
    figures['alone']!.push(await percent([new IoGate(realClock, set)], bytes, rate))
    const group = new IoGate(realClock, set)
    const three = [1, 2, 3].map(() => new GateChain([new IoGate(realClock, NO_RATES), group]))
    figures['as three']!.push(await percent(three, bytes, rate))
    const changed = new IoGate(realClock, { ...NO_RATES, readBytes: 50e6 })
    await percent([changed], bytes, 50e6)
    changed.set(set)
    figures['after a change']!.push(await percent([changed], bytes, rate))
  }
  for (const [when, values] of Object.entries(figures)) {
    report({ name: `gate of ${name} ${when}, least`, values, unit: ' %', atLeast: 97 })
    report({ name: `gate of ${name} ${when}, most`, values, unit: ' %', atMost: 103 })
  }
})
