import { NO_RATES, type IoDeviceView, type IoLimit, type IoRates, type SandboxPolicy } from '../../src-main/contract'
import { count, rate } from '../format'

export type IoKey = Exclude<keyof IoRates, 'burstMs'>

/** What can be limited of a device, in the order of the columns. */
export const IO_KINDS: readonly {
  key: IoKey
  word: string
  unit: string
  /** How many of the policy's units the unit of the column is. */
  factor: number
  write: (value: number) => string
}[] = [
  { key: 'readBytes', word: 'Reading', unit: 'MB/s', factor: 1e6, write: rate },
  { key: 'writeBytes', word: 'Writing', unit: 'MB/s', factor: 1e6, write: rate },
  { key: 'readOps', word: 'Reads', unit: 'ops/s', factor: 1, write: (value) => `${count(value)}/s` },
  { key: 'writeOps', word: 'Writes', unit: 'ops/s', factor: 1, write: (value) => `${count(value)}/s` },
]

/** 'Disk', 'Disk 2', 'Share docs', 'All together'. */
export function deviceWord(device: string): string {
  if (device === '') return 'All together'
  if (device.startsWith('share:')) return `Share ${device.slice('share:'.length)}`
  const [, place = ''] = /^disk(\d*)$/.exec(device) ?? []
  return place === '' ? 'Disk' : `Disk ${Number(place) + 1}`
}

export const isLimited = (rates: IoRates): boolean => IO_KINDS.some(({ key }) => rates[key] > 0)

/** The device's limits as the policy has them. */
export const limitsOf = (io: readonly IoLimit[], device: string): IoRates => {
  const { device: _device, ...rates } = io.find((limit) => limit.device === device) ?? { device, ...NO_RATES }
  return rates
}

/** The policy with other limits for one device; limits that limit nothing are left out. */
export function withIoLimit(policy: SandboxPolicy, device: string, rates: IoRates): SandboxPolicy {
  const others = policy.limits.io.filter((limit) => limit.device !== device)
  const io = isLimited(rates) ? [...others, { device, ...rates }] : others
  return { ...policy, limits: { ...policy.limits, io } }
}

/** What hinders a device now, in a few words; '' for nothing. */
export function deviceNote({ enforced, reason, waitedMs, rates }: IoDeviceView): string {
  if (!enforced && isLimited(rates)) return reason || 'Cannot be limited here.'
  return waitedMs > 0 ? `Held back ${Math.min(100, Math.round(waitedMs / 10))} % of the time` : ''
}
