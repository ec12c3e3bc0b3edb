import type { NetworkSampleView } from '../../src-main/contract'
import { bitRate } from '../format'
import type { ChartModel } from './load-charts'

const BIT_STEPS = Array.from({ length: 12 }, (_, power) => [10 ** power, 2 * 10 ** power, 5 * 10 ** power]).flat()
const BITS = 8

/** What went through a network card in the samples of the last ten minutes. */
export function nicChart(samples: readonly NetworkSampleView[], nic: number): ChartModel {
  const pick = (key: 'upPerSecond' | 'downPerSecond') =>
    samples.map((sample) => {
      const now = sample.nics[nic]
      return now ? now[key] * BITS : null
    })
  return {
    title: 'Throughput',
    write: bitRate,
    leastTop: 10_000,
    mostTop: Infinity,
    steps: BIT_STEPS,
    series: [
      { label: 'Received', colour: '--series-1', dash: [], filled: true, values: pick('downPerSecond') },
      { label: 'Sent', colour: '--series-2', dash: [5, 4], filled: false, values: pick('upPerSecond') },
    ],
  }
}
