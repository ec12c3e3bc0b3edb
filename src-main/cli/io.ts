import type { Command } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { type DomainView, type FilesView, type IoDeviceView, type IoRates, NO_RATES } from '../contract'
import { findDomain } from './find'
import { rateOption } from './limits'
import { given, wholeNumber } from './options'
import type { CliSession } from './session'
import { sizeText, table } from './text'

interface IoOptions {
  device?: string
  group?: boolean
  read?: number
  write?: number
  readOps?: number
  writeOps?: number
  burst?: number
  none?: boolean
}

/** io: what the disks and shares of a domain, or of a group, may move and do move. */
export function addIoCommand(program: Command, cli: CliSession): void {
  program
    .command('io <domain>')
    .description('show or set what disks and shares may move; it applies at once, also while the guest runs')
    .option('--device <device>', "'disk', 'disk1' …, 'share:NAME'; all together when left out")
    .option('--group', 'all domains of its group together')
    .option('--read <rate>', 'bytes a second, such as 10M; 0 for no limit', rateOption)
    .option('--write <rate>', 'bytes a second', rateOption)
    .option('--read-ops <rate>', 'operations a second, such as 500', rateOption)
    .option('--write-ops <rate>', 'operations a second', rateOption)
    .option('--burst <ms>', 'what may pass at once: milliseconds of the rate', wholeNumber(10, 3_600_000))
    .option('--none', 'no limits')
    .action(async (name: string, options: IoOptions) => {
      const domain = await findDomain(cli, name)
      await change(cli, domain, options)
      const view = await cli.call('files.get', { id: domain.id })
      cli.print({ devices: view.devices, group: view.group }, ioText(view))
    })
}

async function change(cli: CliSession, domain: DomainView, options: IoOptions): Promise<void> {
  const { device, group, read, write, readOps, writeOps, burst, none } = options
  const rates = given({ readBytes: read, writeBytes: write, readOps, writeOps, burstMs: burst })
  const asked = none === true || Object.keys(rates).length > 0
  if (!asked && (device !== undefined || group === true)) {
    throw new VmmError('invalid', 'The limit is missing.', {
      hint: 'Add --read, --write, --read-ops, --write-ops or --none.',
    })
  }
  if (device !== undefined && group === true) {
    throw new VmmError('invalid', 'A limit is for a device or for a group.', { hint: 'Leave --device or --group out.' })
  }
  if (!asked) return
  const changed = (before: IoRates | undefined): IoRates => ({ ...((none ? undefined : before) ?? NO_RATES), ...rates })
  await (group ? setGroup(cli, domain, changed) : setDevice(cli, domain.id, device ?? '', changed))
}

type Changed = (before: IoRates | undefined) => IoRates

/** A limit that limits nothing is left out. */
const limits = ({ readBytes, writeBytes, readOps, writeOps }: IoRates): boolean =>
  readBytes + writeBytes + readOps + writeOps > 0

async function setDevice(cli: CliSession, id: string, device: string, changed: Changed): Promise<void> {
  const { devices } = await cli.call('files.get', { id })
  if (!devices.some((each) => each.device === device)) {
    const known = devices.flatMap((each) => each.device || []).join(', ')
    throw new VmmError('not-found', `There is no device called '${device}'.`, { hint: `Use one of: ${known}.` })
  }
  const { policy } = await cli.call('policy.get', { id })
  const others = policy.limits.io.filter((each) => each.device !== device)
  const rates = changed(ratesOf(policy.limits.io.find((each) => each.device === device)))
  const io = limits(rates) ? [...others, { device, ...rates }] : others
  await cli.call('policy.set', { id, policy: { ...policy, limits: { ...policy.limits, io } } })
}

async function setGroup(cli: CliSession, { name, group }: DomainView, changed: Changed): Promise<void> {
  if (group === '') {
    throw new VmmError('invalid', `${name} is in no group.`, {
      hint: `'vivarium set ${name} --group NAME' puts it into one.`,
    })
  }
  const { groupLimits } = await cli.call('settings.get', {})
  const others = groupLimits.filter((each) => each.group !== group)
  const rates = changed(ratesOf(groupLimits.find((each) => each.group === group)))
  await cli.call('settings.update', { groupLimits: limits(rates) ? [...others, { group, ...rates }] : others })
}

function ratesOf(limit: IoRates | undefined): IoRates | undefined {
  if (!limit) return undefined
  const { readBytes, writeBytes, readOps, writeOps, burstMs } = limit
  return { readBytes, writeBytes, readOps, writeOps, burstMs }
}

function ioText({ devices, group }: FilesView): string {
  const head = ['DEVICE', 'READ', 'WRITE', 'READ OPS', 'WRITE OPS', 'WAITED', '']
  const rows = devices.map((view) => ioRow(view.device || 'all', view))
  if (group) rows.push(ioRow(`group ${group.name}`, group))
  return table(head, rows)
}

/** What is moved now, and of how much. */
function ioRow(device: string, { rates, now, waitedMs, enforced, reason }: IoDeviceView): string[] {
  const bytes = (value: number): string => `${sizeText(value)}/s`
  const of = (value: number, limit: number, text: (value: number) => string): string =>
    `${text(value)}${limit > 0 ? ` of ${text(limit)}` : ''}`
  const count = (value: number): string => String(Math.round(value))
  return [
    device,
    of(now.readBytes, rates.readBytes, bytes),
    of(now.writeBytes, rates.writeBytes, bytes),
    of(now.readOps, rates.readOps, count),
    of(now.writeOps, rates.writeOps, count),
    waitedMs > 0 ? `${Math.round(waitedMs)} ms` : '',
    enforced ? '' : reason || 'not enforced here',
  ]
}
