import type { LoadView } from '../../src-main/contract'
import { count, memory, percent, size } from '../format'

export interface ChartSeries {
  label: string
  /** Name of the colour token. */
  colour: '--series-1' | '--series-2' | '--series-3'
  /** Lines differ by more than their colour. */
  dash: number[]
  filled: boolean
  values: (number | null)[]
}

export interface ChartModel {
  title: string
  /** How values are written on the axis, in the legend and for screen readers. */
  write: (value: number) => string
  /** Fixed top of the axis; else it follows the data. */
  top: number | null
  series: ChartSeries[]
}

const MEBI = 1024 * 1024
const SOLID: number[] = []
const DASHED = [5, 4]
const DOTTED = [1.5, 3]

/** The four charts of Overview, from the samples of the last ten minutes. */
export function chartsOf(samples: readonly LoadView[], memoryMiB: number): ChartModel[] {
  const pick = (value: (sample: LoadView) => number | null): (number | null)[] => samples.map(value)
  const configured = memoryMiB * MEBI
  const knowsGuest = samples.some((sample) => sample.guestUsedBytes !== null)
  return [
    {
      title: 'Guest CPU',
      write: percent,
      top: 1,
      series: [{ label: 'Busy', colour: '--series-1', dash: SOLID, filled: true, values: pick((s) => s.cpu) }],
    },
    {
      title: 'Instructions per second',
      write: count,
      top: null,
      series: [{ label: 'Instructions', colour: '--series-1', dash: SOLID, filled: true, values: pick((s) => s.instructionsPerSecond) }],
    },
    {
      title: 'Memory',
      write: size,
      top: null,
      series: [
        ...(knowsGuest
          ? [{ label: 'Used in guest', colour: '--series-1' as const, dash: SOLID, filled: true, values: pick((s) => s.guestUsedBytes) }]
          : []),
        { label: 'Host resident', colour: '--series-2', dash: DASHED, filled: false, values: pick((s) => s.hostBytes) },
        { label: `Configured (${memory(memoryMiB)})`, colour: '--series-3', dash: DOTTED, filled: false, values: pick(() => configured) },
      ],
    },
    {
      title: 'Disk',
      write: (value) => `${size(value)}/s`,
      top: null,
      series: [
        { label: 'Read', colour: '--series-1', dash: SOLID, filled: true, values: pick((s) => s.diskReadPerSecond) },
        { label: 'Written', colour: '--series-2', dash: DASHED, filled: false, values: pick((s) => s.diskWritePerSecond) },
      ],
    },
  ]
}

/** The chart in words, for those who cannot see it. */
export function summary(chart: ChartModel): string {
  const parts = chart.series.map(({ label, values }) => {
    const known = values.filter((value) => value !== null)
    const last = known.at(-1)
    if (last === undefined) return `${label}: no data yet`
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length
    const most = known.reduce((a, b) => Math.max(a, b), 0)
    return `${label}: now ${chart.write(last)}, mean ${chart.write(mean)}, highest ${chart.write(most)}`
  })
  return `${chart.title} over the last ten minutes. ${parts.join('. ')}.`
}
