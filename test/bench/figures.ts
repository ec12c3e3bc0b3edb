import { readFileSync } from 'node:fs'

/** A promise of SPECIFICATION.md and what was measured for it. */
export interface Figure {
  name: string
  /** The measured values, in `unit`, best first or last: they are sorted here. */
  values: number[]
  unit: string
  /** The promise: at most this much, in `unit` … */
  atMost?: number
  /** … or at least this much. */
  atLeast?: number
}

/** Prints a figure: median, spread, and whether the promise was met. Never fails: machines differ. */
export function report({ name, values, unit, atMost, atLeast }: Figure): void {
  const middle = median(values)
  const met = middle <= (atMost ?? Infinity) && middle >= (atLeast ?? -Infinity)
  const promise = atMost === undefined ? `at least ${amount(atLeast, unit)}` : `at most ${amount(atMost, unit)}`
  console.log(`${met ? 'met    ' : 'NOT MET'}  ${name}: ${spread(values, unit)}; promised: ${promise}`)
}

/** Prints what was measured and is not promised. */
export function note({ name, values, unit }: Figure): void {
  console.log(`noted    ${name}: ${spread(values, unit)}`)
}

function spread(values: number[], unit: string): string {
  const sorted = [...values].sort((a, b) => a - b)
  const range = `${amount(sorted[0], unit)} to ${amount(sorted.at(-1), unit)}, n = ${sorted.length}`
  return `${amount(median(sorted), unit)} (${range})`
}

const amount = (value: number | undefined, unit: string) => `${(value ?? NaN).toPrecision(3)}${unit}`

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}

/** The value below which `share` of the samples lie. */
export function percentile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

/** Milliseconds that `work` took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}

/** Processor time a process has used so far, milliseconds (Linux, at 100 ticks a second). */
export function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Share of a core that a process uses over `ms`, in percent. */
export async function cpuPercent(pid: number, ms: number): Promise<number> {
  const [begun, before] = [performance.now(), cpuMs(pid)]
  await new Promise((resolve) => setTimeout(resolve, ms))
  return ((cpuMs(pid) - before) / (performance.now() - begun)) * 100
}
