import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { SHARE_MODES, type FilesView, type ShareMode, type ShareView } from '../contract'
import { accessText } from './access'
import { findDomain, findShare } from './find'
import { given } from './options'
import type { CliSession } from './session'
import { addShareChangeCommands } from './share-changes'
import { sizeText, table } from './text'

interface ShareOptions {
  name?: string
  mode?: ShareMode
  /** False for --no-mount. */
  mount?: boolean
}

interface SetOptions extends ShareOptions {
  attach?: boolean
}

/** shares ls, add, set, rm, mount, explain, changes, diff, apply, discard. */
export function addShareCommands(program: Command, cli: CliSession): void {
  const shares = program.command('shares').description('folders of the host that a guest sees, and what it changed')

  shares
    .command('ls <domain>', { isDefault: true })
    .alias('list')
    .description('list them')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      showShares(cli, await cli.call('files.get', { id }))
    })

  shares
    .command('add <domain> <folder>')
    .description('let a guest see a folder of this host, at once, also while it runs')
    .option('--name <name>', "what the guest calls it; otherwise the folder's name")
    .addOption(modeOption().default('copy-on-write'))
    .option('--no-mount', 'leave it to the guest to mount it')
    .action(async (domain: string, folder: string, { name, mode, mount }: ShareOptions) => {
      const { id } = await findDomain(cli, domain)
      const wanted = { id, folder: resolve(folder), mounted: mount !== false, ...given({ name, mode }) }
      showShares(cli, await cli.call('files.addShare', wanted))
    })

  shares
    .command('set <domain> <share>')
    .description('change a share')
    .option('--name <name>', 'what the guest calls it')
    .addOption(modeOption())
    .option('--mount', 'let the agent of the guest mount it')
    .option('--no-mount', 'leave it to the guest to mount it')
    .option('--attach', 'let the guest see it again')
    .option('--no-attach', 'hide it from the guest, and keep its changes')
    .action(async (domain: string, which: string, { name, mode, mount, attach }: SetOptions) => {
      const { id, share } = await findShare(cli, domain, which)
      const change = given({ name, mode, mounted: mount, attached: attach })
      if (Object.keys(change).length === 0) {
        throw new VmmError('invalid', 'There is nothing to change.', {
          hint: 'Use --name, --mode, --mount or --attach.',
        })
      }
      showShares(cli, await cli.call('files.updateShare', { id, shareId: share.id, ...change }))
    })

  shares
    .command('rm <domain> <share>')
    .alias('remove')
    .description("remove a share with what is kept of it; the host's folder stays as it is")
    .action(async (domain: string, which: string) => {
      const { id, share } = await findShare(cli, domain, which)
      showShares(cli, await cli.call('files.removeShare', { id, shareId: share.id }))
    })

  shares
    .command('mount <domain>')
    .description("have the guest's agent mount what is not mounted")
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      showShares(cli, await cli.call('files.mount', { id }))
    })

  shares
    .command('explain <domain> <share> <path>')
    .description('tell what would happen to a path, and by which rule')
    .action(async (domain: string, share: string, path: string) => {
      const { id } = await findDomain(cli, domain)
      const access = await cli.call('files.explain', { id, share, path })
      cli.print(access, accessText(access))
    })

  addShareChangeCommands(shares, cli)
}

function modeOption(): Option {
  return new Option('--mode <mode>', 'copy-on-write never writes to the folder').choices(SHARE_MODES)
}

function showShares(cli: CliSession, view: FilesView): void {
  const head = ['NAME', 'MODE', 'FOLDER', 'STATE', 'MOUNTED AT', 'KEPT', '']
  cli.print(view, view.shares.length > 0 ? table(head, view.shares.map(shareRow)) : 'No shares.')
}

function shareRow(share: ShareView): string[] {
  const { name, mode, folder, state, attached, mountedAt, mountCommand, keptBytes, sealed, reason } = share
  const kept = mode === 'copy-on-write' ? `${sizeText(keptBytes)}${sealed ? ', encrypted' : ''}` : ''
  const note = reason || (state === 'served' && mountedAt === '' ? mountCommand : '')
  return [name, mode, folder, attached ? state : 'not attached', mountedAt, kept, note]
}
