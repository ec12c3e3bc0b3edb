import { randomInt } from 'node:crypto'
import type { Clock } from '../../vmm/net/clock'

/** The host's time and randomness. */
export const realClock: Clock = {
  now: () => performance.now(),
  later: (ms, work) => {
    const timer = setTimeout(work, ms)
    return () => clearTimeout(timer)
  },
  random32: () => randomInt(0x1_0000_0000),
}
