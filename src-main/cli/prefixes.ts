import { type Command, InvalidArgumentError } from 'commander'
import type { WinePrefix } from '../contract'
import { findDomain } from './find'
import type { CliSession } from './session'

/** registry prefix ls, add, rm, write, take: Wine prefixes that live in a share. */
export function addPrefixCommands(registry: Command, cli: CliSession): void {
  const prefix = registry.command('prefix').description('Wine prefixes in shares, which have the registry')

  prefix
    .command('ls <domain>')
    .description('list those that are written before each start and taken back after it')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      show(cli, (await cli.call('registry.get', { id })).prefixes)
    })

  prefix
    .command('add')
    .description('write the registry into a prefix before each start, and take changes back after it')
    .argument('<domain>')
    .argument('<prefix>', 'SHARE:/path, the folder with system.reg', prefixArgument)
    .action((domain: string, wanted: WinePrefix) =>
      update(cli, domain, (before) => [...before.filter((each) => !same(each, wanted)), wanted]),
    )

  prefix
    .command('rm')
    .alias('remove')
    .description('no longer')
    .argument('<domain>')
    .argument('<prefix>', 'SHARE:/path', prefixArgument)
    .action((domain: string, wanted: WinePrefix) =>
      update(cli, domain, (before) => before.filter((each) => !same(each, wanted))),
    )

  prefix
    .command('write')
    .description('write the registry into a prefix now; Wine must not be running there')
    .argument('<domain>')
    .argument('<prefix>', 'SHARE:/path', prefixArgument)
    .action(async (domain: string, wanted: WinePrefix) => {
      const { id } = await findDomain(cli, domain)
      await cli.call('registry.writePrefix', { id, prefix: wanted })
      cli.print({ prefix: wanted }, `${named(wanted)} has the registry now.`)
    })

  prefix
    .command('take')
    .description('take back what programs changed in a prefix; Wine must not be running there')
    .argument('<domain>')
    .argument('<prefix>', 'SHARE:/path', prefixArgument)
    .action(async (domain: string, wanted: WinePrefix) => {
      const { id } = await findDomain(cli, domain)
      const taken = await cli.call('registry.takePrefix', { id, prefix: wanted })
      cli.print(taken, taken.changes === 1 ? '1 change was taken.' : `${taken.changes} changes were taken.`)
    })
}

/** `SHARE:/path`. */
export function prefixArgument(text: string): WinePrefix {
  const [, share, path] = /^([^:/]+):(\/.*)$/.exec(text) ?? []
  if (share === undefined || path === undefined) {
    throw new InvalidArgumentError('Give the share and the folder in it, such as games:/home/me/.wine.')
  }
  return { share, path }
}

async function update(
  cli: CliSession,
  domain: string,
  changed: (before: readonly WinePrefix[]) => WinePrefix[],
): Promise<void> {
  const { id } = await findDomain(cli, domain)
  const { prefixes } = await cli.call('registry.get', { id })
  show(cli, (await cli.call('registry.update', { id, registry: { prefixes: changed(prefixes) } })).prefixes)
}

const same = (a: WinePrefix, b: WinePrefix): boolean => a.share === b.share && a.path === b.path
const named = ({ share, path }: WinePrefix): string => `${share}:${path}`

function show(cli: CliSession, prefixes: readonly WinePrefix[]): void {
  cli.print(prefixes, prefixes.length > 0 ? prefixes.map(named).join('\n') : 'No Wine prefixes.')
}
