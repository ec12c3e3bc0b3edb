import { InvalidArgumentError } from 'commander'
import { MEMORY_MIB } from '../../vmm/model/domain'
import { DISK_MIB, NICS_MOST } from '../../vmm/model/hardware'

/** Makes a parser of whole numbers from `least` to `most`, for commander. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`)
  }
}

export const memoryOption = wholeNumber(MEMORY_MIB.least, MEMORY_MIB.most)
const MIB_OF: Record<string, number> = { '': 1, M: 1, G: 1024, T: 1024 * 1024 }

/** A disk size, '20480' or '20G', in MiB. */
export function diskOption(text: string): number {
  const [, digits, unit = ''] = /^(\d+)([MGT]?)$/i.exec(text) ?? []
  const mib = Number(digits ?? NaN) * (MIB_OF[unit.toUpperCase()] ?? NaN)
  if (mib >= 0 && mib <= DISK_MIB.most) return mib
  throw new InvalidArgumentError(`Give a size in MiB, or with M, G or T, up to ${DISK_MIB.most} MiB.`)
}

/** Network cards are counted from 1 for people. */
export const cardOption = wholeNumber(1, NICS_MOST)
export const portOption = wholeNumber(0, 65_535)

/** `values` without those left out: the contract refuses a field that is there and undefined. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const present = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
