import { type Command, Option } from 'commander'
import type { MirrorView } from '../contract'
import { findDomain, findNamed } from './find'
import { cardOption } from './options'
import type { CliSession } from './session'
import { table } from './text'

interface MirrorOptions {
  card: number
  toCard: number
  afterPolicy?: boolean
  direction: 'both' | 'up' | 'down'
}

/** network mirror ls, add, rm: copies of what goes over a card, for another domain to look at. */
export function addMirrorCommands(network: Command, cli: CliSession): void {
  const mirror = network.command('mirror').description("copies of a domain's network traffic for another domain")

  mirror
    .command('ls')
    .alias('list')
    .description('list them')
    .action(async () => {
      const { mirrors } = await cli.call('networks.get', {})
      cli.print(mirrors, mirrors.length > 0 ? mirrorTable(mirrors) : 'No mirrors.')
    })

  mirror
    .command('add <watched> <watcher>')
    .description('copy what goes over a card of one domain to a card of another, which must listen to all')
    .option('--card <number>', 'whose traffic, counted from 1', cardOption, 1)
    .option('--to-card <number>', 'which card gets it', cardOption, 1)
    .option('--after-policy', 'only what the policy lets pass')
    .addOption(
      new Option('--direction <direction>', "'up' is what the guest sends")
        .choices(['both', 'up', 'down'])
        .default('both'),
    )
    .action(async (watched: string, watcher: string, { card, toCard, afterPolicy, direction }: MirrorOptions) => {
      const [from, to] = [await findDomain(cli, watched), await findDomain(cli, watcher)]
      const view = await cli.call('mirrors.add', {
        source: { id: from.id, nic: card - 1 },
        target: { id: to.id, nic: toCard - 1 },
        stage: afterPolicy ? 'after' : 'before',
        direction,
      })
      cli.print(view, mirrorTable([view]))
    })

  mirror
    .command('rm <mirror>')
    .alias('remove')
    .description('end a mirror, by its id or by the domain that it watches')
    .action(async (which: string) => {
      const { mirrors } = await cli.call('networks.get', {})
      const named = mirrors.map((each) => ({ ...each, name: each.source.domainName }))
      const { id } = findNamed(named, which, 'mirror', 'vivarium network mirror ls')
      cli.print(await cli.call('mirrors.remove', { mirrorId: id }), '')
    })
}

function mirrorTable(mirrors: readonly MirrorView[]): string {
  const card = ({ domainName, nic }: MirrorView['source']): string => `${domainName}, card ${nic + 1}`
  const rows = mirrors.map(({ id, source, target, stage, direction, active, frames, dropped }) => [
    card(source),
    card(target),
    `${direction === 'both' ? 'both ways' : direction}, ${stage} policy`,
    String(frames),
    String(dropped),
    active ? 'active' : 'off',
    id,
  ])
  return table(['OF', 'TO', 'WHAT', 'FRAMES', 'DROPPED', 'STATE', 'ID'], rows)
}
