import type { Command } from 'commander'
import { createInterface } from 'node:readline/promises'
import { VmmError } from '../../vmm/model/errors'
import type { TrashedView } from '../contract'
import { findNamed } from './find'
import { followTask } from './follow-task'
import type { CliSession } from './session'
import { sizeText, table, timeText } from './text'

/** trash ls, restore, empty. */
export function addTrashCommands(program: Command, cli: CliSession): void {
  const trash = program.command('trash').description('domains that were deleted and can still be brought back')

  trash
    .command('ls')
    .description('list what is in the trash')
    .action(async () => {
      const all = await cli.call('trash.list', {})
      const rows = all.map(({ name, bytes, trashedAt, id }) => [name, sizeText(bytes), timeText(trashedAt), id])
      cli.print(all, rows.length > 0 ? table(['NAME', 'SIZE', 'DELETED', 'ID'], rows) : 'The trash is empty.')
    })

  trash
    .command('restore <domain>')
    .description('bring a domain back')
    .action(async (name: string) => {
      const { id } = await findTrashed(name)
      const restored = await cli.call('trash.restore', { id })
      cli.print(restored, `${restored.name} is back.`)
    })

  trash
    .command('empty [domains...]')
    .description('delete for good: the domains named, or all')
    .option('--yes', 'without asking')
    .action(async (names: string[], options: { yes?: boolean }) => {
      const all = await cli.call('trash.list', {})
      const chosen = names.length > 0 ? await Promise.all(names.map(findTrashed)) : all
      if (!options.yes && chosen.length > 0) await confirm(chosen)
      const ids = chosen.map(({ id }) => id)
      if (ids.length > 0) await followTask(cli, await cli.call('trash.empty', { ids }))
      cli.print({ deleted: ids }, ids.length === 1 ? '1 domain deleted.' : `${ids.length} domains deleted.`)
    })

  async function findTrashed(name: string): Promise<TrashedView> {
    return findNamed(await cli.call('trash.list', {}), name, 'deleted domain', 'vivarium trash ls')
  }
}

async function confirm(chosen: readonly TrashedView[]): Promise<void> {
  const what = chosen.length === 1 ? `'${chosen[0]?.name}'` : `${chosen.length} domains`
  if (!process.stdin.isTTY) {
    throw new VmmError('invalid', `This would delete ${what} for good.`, { hint: 'Add --yes to do it without asking.' })
  }
  const question = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await question.question(`Delete ${what} for good? [y/N] `)
  question.close()
  if (!/^y(es)?$/i.test(answer.trim())) throw new VmmError('cancelled', 'Nothing was deleted.')
}
