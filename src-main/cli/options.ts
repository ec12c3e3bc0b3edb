import { InvalidArgumentError } from 'commander'
import { MEMORY_MIB } from '../../vmm/model/domain'
import { DISK_MIB } from '../../vmm/model/hardware'

/** Makes a parser of whole numbers from `least` to `most`, for commander. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`)
  }
}

export const memoryOption = wholeNumber(MEMORY_MIB.least, MEMORY_MIB.most)
export const diskOption = wholeNumber(0, DISK_MIB.most)
export const portOption = wholeNumber(0, 65_535)

/** `values` without those left out: the contract refuses a field that is there and undefined. */
export function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const present = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
