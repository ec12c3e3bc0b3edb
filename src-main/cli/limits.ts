import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { NO_LIMITS, type DiskLimits, type LoadView } from '../contract'
import { findDomain } from './find'
import { given, wholeNumber } from './options'
import type { CliSession } from './session'
import { sizeText, table } from './text'

const ASK_EVERY_MS = 500
const ASK_AT_MOST = 10

interface LimitOptions {
  read?: number
  write?: number
  readOps?: number
  writeOps?: number
  burst?: number
  burstFor?: number
  none?: boolean
}

/** limits: how fast the disks of a domain may be. */
export function addLimitsCommand(program: Command, cli: CliSession): void {
  program
    .command('limits <domain>')
    .description('show or set how fast the disks may be; it applies at once, also while the guest runs')
    .option('--read <rate>', 'bytes a second, such as 10M; 0 for no limit', rateOption)
    .option('--write <rate>', 'bytes a second', rateOption)
    .option('--read-ops <rate>', 'operations a second, such as 500', rateOption)
    .option('--write-ops <rate>', 'operations a second', rateOption)
    .option('--burst <times>', 'how many times the limit a short burst may reach, such as 2x', timesOption)
    .option('--burst-for <seconds>', 'how long a burst may last', wholeNumber(1, 3600))
    .option('--none', 'no limits at all')
    .action(async (domain: string, options: LimitOptions) => {
      const { id, diskLimits } = await findDomain(cli, domain)
      const { read, write, readOps, writeOps, burst, burstFor, none } = options
      const change = given({
        readBytes: read,
        writeBytes: write,
        readOps,
        writeOps,
        burstTimes: burst,
        burstSeconds: burstFor,
      })
      const wanted = { ...(none ? NO_LIMITS : diskLimits), ...change }
      const asked = none === true || Object.keys(change).length > 0
      const limits = asked
        ? (await cli.call('domains.update', { id, patch: { diskLimits: wanted } })).diskLimits
        : wanted
      const measured = await measure(cli, id)
      cli.print({ limits, measured }, limitsText(limits, measured))
    })
}

/** The last sample; a main that has just found a running machine again takes a moment to have one. */
async function measure(cli: CliSession, id: string): Promise<LoadView | null> {
  for (let asked = 1; ; asked++) {
    const last = (await cli.call('domains.load', { id })).at(-1)
    if (last) return last
    const { state } = await cli.call('domains.get', { id })
    if (state !== 'running' || asked === ASK_AT_MOST) return null
    await sleep(ASK_EVERY_MS)
  }
}

/** Limits beside what is measured now. */
function limitsText(limits: DiskLimits, measured: LoadView | null): string {
  const bytes = (value: number): string => `${sizeText(value)}/s`
  const ops = (value: number): string => `${Math.round(value)} ops/s`
  const row = (what: string, limit: number, now: number | undefined, write: (value: number) => string) => [
    what,
    limit > 0 ? write(limit) : 'none',
    now === undefined ? '' : write(now),
  ]
  const rows = [
    row('read', limits.readBytes, measured?.diskReadPerSecond, bytes),
    row('write', limits.writeBytes, measured?.diskWritePerSecond, bytes),
    row('read-ops', limits.readOps, measured?.diskReadOpsPerSecond, ops),
    row('write-ops', limits.writeOps, measured?.diskWriteOpsPerSecond, ops),
  ]
  const { burstTimes, burstSeconds } = limits
  const burst = burstTimes > 1 ? `\nBursts reach ${burstTimes} times the limit for up to ${burstSeconds} s.` : ''
  return `${table(['', 'LIMIT', 'MEASURED'], rows)}${burst}`
}

const SCALES: Record<string, number> = { '': 1, K: 1e3, M: 1e6, G: 1e9 }

/** '10M' gives 10,000,000. */
export function rateOption(text: string): number {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([kMG]?)$/i.exec(text) ?? []
  const rate = Math.round(Number(digits ?? NaN) * (SCALES[unit.toUpperCase()] ?? NaN))
  if (rate >= 0) return rate
  throw new InvalidArgumentError('Give a number, or one with k, M or G.')
}

/** '2x' or '2'. */
function timesOption(text: string): number {
  const times = Number(/^(\d+(?:\.\d+)?)x?$/i.exec(text)?.[1] ?? NaN)
  if (times >= 1 && times <= 100) return times
  throw new InvalidArgumentError('Give a number from 1 to 100, such as 2x.')
}
