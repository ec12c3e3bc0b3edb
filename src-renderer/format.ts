/** Numbers and times as a person reads them. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** A size such as '44.1 MiB'. */
export function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${trimZeros(value.toFixed(digits))} ${UNITS[unit]}`
}

/** A rate such as '1.2 MB/s': of rates people think in powers of ten. */
export const rate = (bytesPerSecond: number): string => scaled(bytesPerSecond, RATES)

/** A rate of a network such as '1.2 Mbit/s'. */
export const bitRate = (bitsPerSecond: number): string => scaled(bitsPerSecond, BIT_RATES)

const RATES = [
  [1e9, 'GB/s'],
  [1e6, 'MB/s'],
  [1e3, 'kB/s'],
  [1, 'B/s'],
] as const
const BIT_RATES = [
  [1e9, 'Gbit/s'],
  [1e6, 'Mbit/s'],
  [1e3, 'kbit/s'],
  [1, 'bit/s'],
] as const

function scaled(amount: number, units: typeof RATES | typeof BIT_RATES): string {
  const [scale, unit] = units.find(([least]) => amount >= least) ?? units[3]
  const value = amount / scale
  return `${trimZeros(value.toFixed(scale === 1 || value >= 100 ? 0 : 1))} ${unit}`
}

/** A memory size given in MiB, such as '512 MiB' or '2 GiB'. */
export const memory = (mebibytes: number): string => size(mebibytes * 1024 * 1024)

const SCALES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const

/** A count such as '12.3 M'. */
export function count(value: number): string {
  for (const [scale, letter] of SCALES) {
    if (value >= scale) return `${trimZeros((value / scale).toFixed(value >= scale * 100 ? 0 : 1))} ${letter}`
  }
  return String(Math.round(value))
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`

/** A span such as '2 h 5 min'; never below zero. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** An estimate such as 'about 2 min left'. */
export function timeLeft(milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000)
  if (seconds <= 5) return 'a few seconds left'
  return seconds < 90 ? `about ${seconds} s left` : `about ${Math.round(seconds / 60)} min left`
}

const time = { hour: '2-digit', minute: '2-digit', hour12: false } as const
const thisYear = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', ...time })
const otherYear = new Intl.DateTimeFormat(undefined, { year: 'numeric', month: 'short', day: 'numeric', ...time })
const timeOnly = new Intl.DateTimeFormat(undefined, { ...time, second: '2-digit' })

/** A moment such as 'Nov 23, 14:05', with the year when it is another one. */
export function moment(at: number): string {
  const same = new Date(at).getFullYear() === new Date().getFullYear()
  return (same ? thisYear : otherYear).format(at)
}
export const clock = (at: number): string => timeOnly.format(at)

/** Seconds since the first packet, such as '12.034'. */
export const packetTime = (milliseconds: number): string => (milliseconds / 1000).toFixed(3)

/** A moment as people say it: 'just now', '5 min ago', then the date. */
export function ago(at: number, now: number): string {
  const minutes = Math.floor((now - at) / 60_000)
  if (minutes < 1) return 'just now'
  if (minutes < 60) return `${minutes} min ago`
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`
  return moment(at)
}

export const plural = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}
