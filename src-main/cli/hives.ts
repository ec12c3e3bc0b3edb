import type { Command } from 'commander'
import type { HiveView } from '../contract'
import { findNamed } from './find'
import type { CliSession } from './session'
import { sizeText, table } from './text'

/** registry hives ls, rename, rm: base hives that domains share. */
export function addHiveCommands(registry: Command, cli: CliSession): void {
  const hives = registry.command('hives').description('base hives, which many domains can share')

  hives
    .command('ls', { isDefault: true })
    .alias('list')
    .description('list them')
    .action(async () => {
      const all = await cli.call('hives.list', {})
      const head = ['NAME', 'MADE OF', 'KEYS', 'VALUES', 'SIZE', 'USED BY', 'ID']
      cli.print(all, all.length > 0 ? table(head, all.map(hiveRow)) : 'No base hives.')
    })

  hives
    .command('rename <hive> <name>')
    .description('give a base hive another name')
    .action(async (which: string, name: string) => {
      const { id } = await findHive(cli, which)
      await cli.call('hives.rename', { hiveId: id, name })
      cli.print({ id, name }, '')
    })

  hives
    .command('rm <hive>')
    .alias('remove')
    .description('delete a base hive that no domain uses')
    .action(async (which: string) => {
      const { id } = await findHive(cli, which)
      await cli.call('hives.remove', { hiveId: id })
      cli.print({ id }, '')
    })
}

async function findHive(cli: CliSession, which: string): Promise<HiveView> {
  return findNamed(await cli.call('hives.list', {}), which, 'base hive', 'vivarium registry hives ls')
}

function hiveRow({ id, name, source, keys, values, bytes, usedBy }: HiveView): string[] {
  return [name, source, String(keys), String(values), sizeText(bytes), String(usedBy.length), id]
}
