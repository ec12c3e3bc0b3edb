import type { Command } from 'commander'
import { type SnapshotView } from '../contract'
import { findDomain, findSnapshot } from './find'
import { followTask } from './follow-task'
import { given } from './options'
import type { CliSession } from './session'
import { sizeText, table, timeText } from './text'

interface CreateOptions {
  description: string
  disksOnly?: boolean
}

/** snapshot create, ls, revert, rm, rename. */
export function addSnapshotCommands(program: Command, cli: CliSession): void {
  const snapshot = program.command('snapshot').description('keep states of a domain and go back to them')

  snapshot
    .command('create <domain> [name]')
    .description('keep the present state')
    .option('--description <text>', 'free text', '')
    .option('--disks-only', 'without the memory of a running guest')
    .action(async (domain: string, name: string | undefined, options: CreateOptions) => {
      const { id } = await findDomain(cli, domain)
      const { description, disksOnly } = options
      const wanted = { id, description, memory: !disksOnly, ...given({ name }) }
      const task = await followTask(cli, await cli.call('snapshots.create', wanted))
      const made = (await cli.call('snapshots.list', { id })).find((each) => each.id === task.resultId)
      cli.print(made ?? { id: task.resultId }, made ? `${made.name} (${made.id})` : task.resultId)
    })

  snapshot
    .command('ls <domain>')
    .description('list the snapshots, each below the one it came from')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      const all = await cli.call('snapshots.list', { id })
      cli.print(all, snapshotTable(all))
    })

  snapshot
    .command('revert <domain> <snapshot>')
    .description('go back to a snapshot; what came after and was not kept is lost')
    .action(async (domain: string, name: string) => {
      const found = await findDomain(cli, domain)
      const { id: snapshotId } = await findSnapshot(cli, found, name)
      await followTask(cli, await cli.call('snapshots.revert', { id: found.id, snapshotId }))
      const now = await cli.call('domains.get', { id: found.id })
      cli.print(now, `${now.name} is ${now.state}.`)
    })

  snapshot
    .command('rm <domain> <snapshot>')
    .description('delete one snapshot; its children move to its parent')
    .action(async (domain: string, name: string) => {
      const found = await findDomain(cli, domain)
      const { id: snapshotId } = await findSnapshot(cli, found, name)
      await followTask(cli, await cli.call('snapshots.delete', { id: found.id, snapshotId }))
      cli.print({ id: snapshotId }, '')
    })

  snapshot
    .command('rename <domain> <snapshot> <name>')
    .description('give a snapshot another name')
    .action(async (domain: string, snapshotName: string, name: string) => {
      const found = await findDomain(cli, domain)
      const { id: snapshotId, description } = await findSnapshot(cli, found, snapshotName)
      cli.print(await cli.call('snapshots.rename', { id: found.id, snapshotId, name, description }), '')
    })
}

function snapshotTable(all: readonly SnapshotView[]): string {
  if (all.length === 0) return 'No snapshots.'
  const rows = inTreeOrder(all).map(({ snapshot, depth }) => [
    `${'  '.repeat(depth)}${snapshot.name}${snapshot.current ? ' (now)' : ''}`,
    snapshot.damage || (snapshot.live ? 'live' : 'disks'),
    sizeText(snapshot.bytes),
    timeText(snapshot.createdAt),
    snapshot.id,
  ])
  return table(['NAME', 'HOLDS', 'SIZE', 'MADE', 'ID'], rows)
}

/** Parents before children, with how deep each lies. */
export function inTreeOrder(all: readonly SnapshotView[]): { snapshot: SnapshotView; depth: number }[] {
  const known = new Set(all.map(({ id }) => id))
  const below = (parent: string | null, depth: number): { snapshot: SnapshotView; depth: number }[] =>
    all
      .filter(({ parentId }) => (parentId !== null && known.has(parentId) ? parentId : null) === parent)
      .flatMap((snapshot) => [{ snapshot, depth }, ...below(snapshot.id, depth + 1)])
  return below(null, 0)
}
