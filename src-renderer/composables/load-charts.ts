import type { LoadView } from '../../src-main/contract'
import { count, percent, rate, size } from '../format'

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
  /** The axis begins at 0; its top follows the data between these two. */
  leastTop: number
  mostTop: number
  /** Distances between the lines of the axis, smallest first: the first that leaves room is taken. */
  steps: number[]
  series: ChartSeries[]
}

const MEBI = 1024 * 1024
/** Sizes that read well in binary units, and counts that read well in decimal ones. */
const BINARY_STEPS = Array.from({ length: 42 }, (_, power) => 2 ** power)
const DECIMAL_STEPS = Array.from({ length: 14 }, (_, power) => [10 ** power, 2 * 10 ** power, 5 * 10 ** power]).flat()
const SOLID: number[] = []
const DASHED = [5, 4]
const DOTTED = [1.5, 3]

/** The charts of Overview, from the samples of the last ten minutes. */
export function chartsOf(samples: readonly LoadView[], memoryMiB: number): ChartModel[] {
  const pick = (value: (sample: LoadView) => number | null): (number | null)[] => samples.map(value)
  const configured = memoryMiB * MEBI
  const knowsGuest = samples.some((sample) => sample.guestUsedBytes !== null)
  const countsInstructions = samples.some((sample) => sample.instructionsPerSecond !== null)
  return [
    {
      title: 'Guest CPU',
      write: percent,
      leastTop: 1,
      mostTop: 1,
      steps: [0.25, 0.5, 1],
      series: [{ label: 'Busy', colour: '--series-1', dash: SOLID, filled: true, values: pick((s) => s.cpu) }],
    },
    ...(countsInstructions ? [instructionsChart(pick((s) => s.instructionsPerSecond))] : []),
    {
      title: 'Memory',
      write: size,
      leastTop: configured,
      mostTop: Infinity,
      steps: BINARY_STEPS,
      series: [
        ...(knowsGuest
          ? [
              {
                label: 'In guest',
                colour: '--series-1' as const,
                dash: SOLID,
                filled: true,
                values: pick((s) => s.guestUsedBytes),
              },
            ]
          : []),
        { label: 'On host', colour: '--series-2', dash: DASHED, filled: false, values: pick((s) => s.hostBytes) },
        { label: 'Configured', colour: '--series-3', dash: DOTTED, filled: false, values: pick(() => configured) },
      ],
    },
    {
      title: 'Disk',
      write: rate,
      leastTop: 64_000,
      mostTop: Infinity,
      steps: DECIMAL_STEPS,
      series: [
        { label: 'Read', colour: '--series-1', dash: SOLID, filled: true, values: pick((s) => s.diskReadPerSecond) },
        {
          label: 'Written',
          colour: '--series-2',
          dash: DASHED,
          filled: false,
          values: pick((s) => s.diskWritePerSecond),
        },
      ],
    },
    {
      title: 'Disk operations per second',
      write: count,
      leastTop: 10,
      mostTop: Infinity,
      steps: DECIMAL_STEPS,
      series: [
        { label: 'Read', colour: '--series-1', dash: SOLID, filled: true, values: pick((s) => s.diskReadOpsPerSecond) },
        {
          label: 'Written',
          colour: '--series-2',
          dash: DASHED,
          filled: false,
          values: pick((s) => s.diskWriteOpsPerSecond),
        },
      ],
    },
  ]
}

/** Only of engines that can count them. */
function instructionsChart(values: (number | null)[]): ChartModel {
  return {
    title: 'Instructions per second',
    write: count,
    leastTop: 1e6,
    mostTop: Infinity,
    steps: DECIMAL_STEPS,
    series: [{ label: 'Instructions', colour: '--series-1', dash: SOLID, filled: true, values }],
  }
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
