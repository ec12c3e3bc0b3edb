import type { DiskLimits, LoadView } from '../../src-main/contract'
import { count, rate } from '../format'

export type LimitKey = 'readBytes' | 'writeBytes' | 'readOps' | 'writeOps'

interface LimitKind {
  key: LimitKey
  label: string
  measured: (sample: LoadView) => number
  /** What an amount may be given in, with how many of the smallest unit each is. */
  units: readonly { word: string; factor: number }[]
  write: (value: number) => string
}

const BYTES = [
  { word: 'kB/s', factor: 1e3 },
  { word: 'MB/s', factor: 1e6 },
]
const OPS = [{ word: 'ops/s', factor: 1 }]
const ops = (value: number): string => `${count(value)} ops/s`

/** What can be limited, each beside what is measured of it. */
export const LIMIT_KINDS: readonly LimitKind[] = [
  { key: 'readBytes', label: 'Reading', measured: (s) => s.diskReadPerSecond, units: BYTES, write: rate },
  { key: 'writeBytes', label: 'Writing', measured: (s) => s.diskWritePerSecond, units: BYTES, write: rate },
  { key: 'readOps', label: 'Read operations', measured: (s) => s.diskReadOpsPerSecond, units: OPS, write: ops },
  { key: 'writeOps', label: 'Write operations', measured: (s) => s.diskWriteOpsPerSecond, units: OPS, write: ops },
]

/** The largest unit in which `value` is at least 1; the largest of all for none. */
export function unitFor(value: number, units: LimitKind['units']): number {
  const fitting = units.filter(({ factor }) => value === 0 || value >= factor)
  return (fitting.at(-1) ?? units[0])?.factor ?? 1
}

/** What a person typed, in the smallest unit: empty is no limit, 0; null for what is no amount. */
export function amountOf(text: string, factor: number): number | null {
  if (text.trim() === '') return 0
  const value = Number(text)
  return Number.isFinite(value) && value >= 0 ? Math.round(value * factor) : null
}

/** How far a limit is reached, 0 to 1. */
export const reached = (measured: number, limit: number): number => Math.min(1, Math.max(0, measured / limit))

export const limited = (limits: DiskLimits): boolean => LIMIT_KINDS.some(({ key }) => limits[key] > 0)
