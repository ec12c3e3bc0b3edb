import type { Command } from 'commander'
import { REGISTRY_PAGE, safeText, valueTypeName, type RegistryKeyView, type RegistryView } from '../contract'
import { accessText } from './access'
import { findDomain } from './find'
import { addHiveCommands } from './hives'
import { given, wholeNumber } from './options'
import { addPrefixCommands } from './prefixes'
import { addRegistryChangeCommands } from './registry-changes'
import { addRegistryFileCommands } from './registry-files'
import { addRegistryValueCommands } from './registry-values'
import type { CliSession } from './session'
import { facts, table, timeText } from './text'

interface ListOptions {
  offset: number
  limit: number
}

interface SearchOptions {
  under?: string
  limit: number
  after?: string
}

/** registry show, ls, get, set, rm, mk, search, diff, revert, export, import, explain, serve, prefix, hives. */
export function addRegistryCommands(program: Command, cli: CliSession): void {
  const registry = program.command('registry').description('the virtual Windows registry of a domain')

  registry
    .command('show <domain>', { isDefault: true })
    .description('show what the registry of a domain is made of')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      await showRegistry(cli, await cli.call('registry.get', { id }))
    })

  registry
    .command('ls <domain> <key>')
    .alias('list')
    .description(
      'list the keys and values in a key, such as HKLM\\Software; an asterisk marks those of the domain itself',
    )
    .option('--offset <count>', 'leave out so many', wholeNumber(0, 1e9), 0)
    .option('--limit <count>', 'list at most so many of each', wholeNumber(1, REGISTRY_PAGE), REGISTRY_PAGE)
    .action(async (domain: string, key: string, { offset, limit }: ListOptions) => {
      const { id } = await findDomain(cli, domain)
      const view = await cli.call('registry.list', { id, key, offset, limit })
      cli.print(view, keyText(view, offset))
    })

  registry
    .command('search <domain> <text>')
    .description('find keys, names of values and data that hold a text')
    .option('--under <key>', 'only below this key')
    .option('--limit <count>', 'at most so many', wholeNumber(1, REGISTRY_PAGE), 100)
    .option('--after <place>', 'go on where the search before ended')
    .action(async (domain: string, text: string, { under, limit, after }: SearchOptions) => {
      const { id } = await findDomain(cli, domain)
      const found = await cli.call('registry.search', { id, text, limit, ...given({ under, after }) })
      const rows = found.hits.map(({ key, value, text: data }) => [
        key,
        value === null ? '' : value || '(default)',
        data,
      ])
      const more = found.next === '' ? '' : `\nThere may be more: --after '${safeText(found.next, 4000)}'`
      cli.print(found, `${rows.length > 0 ? table(['KEY', 'VALUE', 'DATA'], rows) : 'Nothing was found.'}${more}`)
    })

  registry
    .command('explain <domain> <key>')
    .description('tell what would happen to a key, and by which rule')
    .action(async (domain: string, key: string) => {
      const { id } = await findDomain(cli, domain)
      const access = await cli.call('registry.explain', { id, key })
      cli.print(access, accessText(access))
    })

  registry
    .command('serve <domain>')
    .description('let the guest mount the registry as a tree of files')
    .option('--off', 'no longer')
    .action(async (domain: string, { off }: { off?: boolean }) => {
      const { id } = await findDomain(cli, domain)
      await showRegistry(cli, await cli.call('registry.update', { id, registry: { served: off !== true } }))
    })

  addRegistryValueCommands(registry, cli)
  addRegistryChangeCommands(registry, cli)
  addRegistryFileCommands(registry, cli)
  addPrefixCommands(registry, cli)
  addHiveCommands(registry, cli)
}

async function showRegistry(cli: CliSession, view: RegistryView): Promise<void> {
  const known = new Map((await cli.call('hives.list', {})).map(({ id, name }) => [id, name]))
  const hives = view.hives.map(({ hiveId, at }) => `${at} (${known.get(hiveId) ?? hiveId})`).join(', ')
  const prefixes = view.prefixes.map(({ share, path }) => `${share}:${path}`).join(', ')
  const served = view.served ? view.mountedAt || 'when the guest mounts it' : 'no'
  const pairs = [
    ['Roots', view.roots.join(', ')],
    ['Base hives', hives || 'none'],
    ['Changes', String(view.changes)],
    ['As files', served],
    ['Wine prefixes', prefixes || 'none'],
  ] as const
  cli.print(view, facts(pairs))
}

function keyText(view: RegistryKeyView, offset: number): string {
  const { key, canonical, subkeys, subkeyTotal, values, valueTotal, writtenAt } = view
  const mark = (own: boolean): string => (own ? '*' : '')
  const rows = [
    ...subkeys.map(({ name, hasSubkeys, own }) => [mark(own), `${name}${hasSubkeys ? '\\' : ''}`, 'key', '']),
    ...values.map(({ name, type, text, own }) => [mark(own), name || '(default)', valueTypeName(type), text]),
  ]
  const left = Math.max(0, subkeyTotal - offset - subkeys.length) + Math.max(0, valueTotal - offset - values.length)
  const head = `${safeText(key, 4000)}${canonical && canonical !== key ? ` is ${safeText(canonical, 4000)}` : ''}`
  return [
    `${head}${writtenAt === null ? '' : `, written ${timeText(writtenAt)}`}`,
    rows.length > 0 ? table(['', 'NAME', 'TYPE', 'DATA'], rows) : 'It is empty.',
    ...(left > 0 ? [`${left} more: use --offset ${offset + Math.max(subkeys.length, values.length)}.`] : []),
  ].join('\n')
}
