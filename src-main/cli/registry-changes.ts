import type { Command } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import {
  REGISTRY_PAGE,
  type CallArgs,
  type DomainView,
  type RegistryChangeView,
  type RegistryDiffView,
} from '../contract'
import { findDomain, findSnapshot } from './find'
import { wholeNumber } from './options'
import type { CliSession } from './session'
import { table } from './text'

export interface SinceOptions {
  sinceSnapshot?: string
  domain?: string
}

interface DiffOptions extends SinceOptions {
  offset: number
  limit: number
}

interface RevertOptions extends SinceOptions {
  all?: boolean
}

/** Options of what a registry is compared with; its base hives when none is given. */
export function withSince(command: Command): Command {
  return command
    .option('--since-snapshot <snapshot>', 'compare with a snapshot of the domain')
    .option('--domain <domain>', 'compare with the registry of another domain')
}

export async function sinceOf(
  cli: CliSession,
  found: DomainView,
  { sinceSnapshot, domain }: SinceOptions,
): Promise<NonNullable<CallArgs<'registry.diff'>['since']>> {
  if (sinceSnapshot !== undefined && domain !== undefined) {
    throw new VmmError('invalid', 'A registry is compared with one thing.', {
      hint: 'Leave --since-snapshot or --domain out.',
    })
  }
  if (sinceSnapshot !== undefined) return { snapshotId: (await findSnapshot(cli, found, sinceSnapshot)).id }
  if (domain !== undefined) return { domainId: (await findDomain(cli, domain)).id }
  return { base: true }
}

/** registry diff, revert. */
export function addRegistryChangeCommands(registry: Command, cli: CliSession): void {
  withSince(registry.command('diff <domain>'))
    .description('list what is different since the base hives, a snapshot, or in another domain')
    .option('--offset <count>', 'leave out so many', wholeNumber(0, 1e9), 0)
    .option('--limit <count>', 'list at most so many', wholeNumber(1, REGISTRY_PAGE), REGISTRY_PAGE)
    .action(async (domain: string, { offset, limit, ...options }: DiffOptions) => {
      const found = await findDomain(cli, domain)
      const since = await sinceOf(cli, found, options)
      const diff = await cli.call('registry.diff', { id: found.id, since, offset, limit })
      cli.print(diff, diffText(diff, offset))
    })

  withSince(registry.command('revert <domain> [key] [value]'))
    .description("put a value, or without one the key itself, back to what it was; the default value is called ''")
    .option('--all', 'everything that is different')
    .action(async (domain: string, key: string | undefined, value: string | undefined, options: RevertOptions) => {
      if ((key === undefined) !== (options.all === true)) {
        throw new VmmError('invalid', 'It is not clear what to put back.', { hint: 'Name a key, or use --all.' })
      }
      const found = await findDomain(cli, domain)
      const since = await sinceOf(cli, found, options)
      const entries = key === undefined ? [] : [{ key, value: value ?? null }]
      await cli.call('registry.revert', { id: found.id, since, entries })
      cli.print({ id: found.id, since, entries }, '')
    })
}

function diffText({ entries, total, added, changed, deleted }: RegistryDiffView, offset: number): string {
  if (total === 0) return 'There is no difference.'
  const rest = total - offset - entries.length
  const more = rest > 0 ? `; ${rest} more: use --offset ${offset + entries.length}` : ''
  const rows = table(['CHANGE', 'KEY', 'VALUE', 'BEFORE', 'AFTER'], entries.map(entryRow))
  return `${rows}\n${added} added, ${changed} changed, ${deleted} deleted${more}`
}

function entryRow({ kind, key, value, before, after }: RegistryChangeView): string[] {
  return [kind, key, value === null ? '' : value || '(default)', before?.text ?? '', after?.text ?? '']
}
