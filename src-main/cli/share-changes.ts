import { type Command } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { CHANGES_MOST, type FileChangesView, type FileChangeView, type FileSidesView, type TaskView } from '../contract'
import { findShare } from './find'
import { followTask } from './follow-task'
import { wholeNumber } from './options'
import type { CliSession } from './session'
import { sizeText, table } from './text'
import { unifiedDiff } from './unified-diff'

interface ChangesOptions {
  under: string
  limit: number
}

interface ChosenOptions {
  all?: boolean
  force?: boolean
}

/** shares changes, diff, apply, discard: what a guest changed in a copy-on-write share. */
export function addShareChangeCommands(shares: Command, cli: CliSession): void {
  shares
    .command('changes <domain> <share>')
    .description('list what the guest changed since the share was added')
    .option('--under <folder>', 'only what lies there', '')
    .option('--limit <count>', 'list at most this many', wholeNumber(1, CHANGES_MOST), 1000)
    .action(async (domain: string, which: string, { under, limit }: ChangesOptions) => {
      const { id, share } = await findShare(cli, domain, which)
      const view = await cli.call('files.changes', { id, shareId: share.id, under, limit })
      cli.print(view, changesText(view))
    })

  shares
    .command('diff <domain> <share> <path>')
    .description('show how a text file differs from that of the host')
    .action(async (domain: string, which: string, path: string) => {
      const { id, share } = await findShare(cli, domain, which)
      const place = { id, shareId: share.id }
      const { changes } = await cli.call('files.changes', { ...place, under: path, limit: CHANGES_MOST })
      const change = changes.find((each) => each.path === rooted(path))
      if (!change) throw unchanged(share.name, path)
      const sides = await cli.call('files.sides', { ...place, key: change.key })
      cli.print(sides, sidesText(change, sides))
    })

  shares
    .command('apply <domain> <share> [path...]')
    .description("bring changes to the host's folder, those of a folder with all that lies in it")
    .option('--all', 'all changes')
    .option('--force', 'also where the host has changed the file since')
    .action(async (domain: string, which: string, paths: string[], options: ChosenOptions) => {
      const { id, share } = await findShare(cli, domain, which)
      const keys = await chosenKeys(cli, { id, shareId: share.id, name: share.name }, paths, options)
      const task = await cli.call('files.apply', { id, shareId: share.id, keys, force: options.force === true })
      await finished(cli, task, keys.length, 'brought to the host')
    })

  shares
    .command('discard <domain> <share> [path...]')
    .description('throw changes away, those of a folder with all that lies in it')
    .option('--all', 'all changes')
    .action(async (domain: string, which: string, paths: string[], options: ChosenOptions) => {
      const { id, share } = await findShare(cli, domain, which)
      const keys = await chosenKeys(cli, { id, shareId: share.id, name: share.name }, paths, options)
      await finished(cli, await cli.call('files.discard', { id, shareId: share.id, keys }), keys.length, 'thrown away')
    })
}

async function finished(cli: CliSession, begun: TaskView, count: number, what: string): Promise<void> {
  const task = await followTask(cli, begun)
  cli.print(task, `${count === 1 ? '1 change' : `${count} changes`} ${what}.`)
}

/** Keys of the changes at or below `paths`. */
async function chosenKeys(
  cli: CliSession,
  { id, shareId, name }: { id: string; shareId: string; name: string },
  paths: readonly string[],
  { all }: ChosenOptions,
): Promise<string[]> {
  if ((all === true) === paths.length > 0) {
    throw new VmmError('invalid', 'It is not clear which changes are meant.', { hint: 'Name paths, or use --all.' })
  }
  const keys = new Set<string>()
  for (const under of all ? [''] : paths) {
    const { changes, total } = await cli.call('files.changes', { id, shareId, under, limit: CHANGES_MOST })
    if (total === 0) throw under === '' ? nothing(name) : unchanged(name, under)
    for (const { key } of changes) keys.add(key)
    if (total > changes.length || keys.size > CHANGES_MOST) {
      throw new VmmError('invalid', `These are more than ${CHANGES_MOST} changes.`, { hint: 'Name folders in turn.' })
    }
  }
  return [...keys]
}

function nothing(share: string): VmmError {
  return new VmmError('not-found', `The guest has changed nothing in ${share}.`)
}

function unchanged(share: string, path: string): VmmError {
  return new VmmError('not-found', `The guest has not changed '${path}' in ${share}.`, {
    hint: "Name a path as 'vivarium shares changes' shows it.",
  })
}

const rooted = (path: string): string => `/${path.replace(/^\/+|\/+$/g, '')}`

function changesText({ changes, total, added, changed, deleted }: FileChangesView): string {
  if (total === 0) return 'The guest has changed nothing.'
  const rest = total > changes.length ? `, ${total - changes.length} of them not listed` : ''
  const sum = `${added} added, ${changed} changed, ${deleted} deleted${rest}`
  return `${table(['CHANGE', 'TYPE', 'BEFORE', 'AFTER', 'PATH', ''], changes.map(changeRow))}\n${sum}`
}

function changeRow({ kind, type, bytesBefore, bytesAfter, path, from, conflict }: FileChangeView): string[] {
  const size = (bytes: number | null): string => (bytes === null || type === 'folder' ? '' : sizeText(bytes))
  const notes = [from && `was ${from}`, conflict && 'the host has changed it too'].filter(Boolean)
  return [kind, type, size(bytesBefore), size(bytesAfter), path, notes.join(', ')]
}

function sidesText({ path }: FileChangeView, sides: FileSidesView): string {
  const { before, after, binary, cut, bytesBefore, bytesAfter } = sides
  if (binary) return `${path} is no text: ${sizeText(bytesBefore)} before, ${sizeText(bytesAfter)} after.`
  if (before === null && after === null) return `${path} is no file with content.`
  const diff = unifiedDiff(path, before, after)
  return cut ? `${diff}\nOnly the beginning of the file was compared.` : diff
}
