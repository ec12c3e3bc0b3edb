import type { Command } from 'commander'
import type { DiskView } from '../contract'
import { findDomain, findImage } from './find'
import { followTask } from './follow-task'
import { diskOption, given } from './options'
import type { CliSession } from './session'
import { sizeText, table } from './text'

interface AddOptions {
  size?: number
  image?: string
  cd?: boolean
}

/** disk ls, add, attach, detach, insert, eject, grow, rm, repair. */
export function addDiskCommands(program: Command, cli: CliSession): void {
  const disk = program.command('disk').description('the disks and CD drives of a domain')

  disk
    .command('ls <domain>')
    .description('list them')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      await show(cli, id)
    })

  disk
    .command('add <domain>')
    .description('add a disk, empty or on an image, or a CD drive')
    .option('--size <size>', 'of the disk, in MiB or such as 20G', diskOption)
    .option('--image <name>', 'what is on the disk or in the drive')
    .option('--cd', 'a CD drive')
    .action(async (domain: string, { size, image, cd }: AddOptions) => {
      const { id } = await findDomain(cli, domain)
      const imageId = image === undefined ? undefined : (await findImage(cli, image)).id
      await cli.call('disks.add', { id, kind: cd ? 'cdrom' : 'disk', ...given({ mib: size, imageId }) })
      await show(cli, id)
    })

  const CHANGES = [
    ['attach', 'let the guest see a disk', { attached: true }],
    ['detach', 'hide a disk from the guest; its content stays', { attached: false }],
    ['eject', 'empty a CD drive, also while the guest runs', { imageId: '' }],
  ] as const
  for (const [name, summary, change] of CHANGES) {
    disk
      .command(`${name} <domain> <disk>`)
      .description(summary)
      .action(async (domain: string, which: string) => {
        const { id } = await findDomain(cli, domain)
        await cli.call('disks.update', { id, disk: which, ...change })
        await show(cli, id)
      })
  }

  disk
    .command('insert <domain> <disk> <image>')
    .description('put a CD into a drive, also while the guest runs')
    .action(async (domain: string, which: string, image: string) => {
      const { id } = await findDomain(cli, domain)
      await cli.call('disks.update', { id, disk: which, imageId: (await findImage(cli, image)).id })
      await show(cli, id)
    })

  disk
    .command('grow')
    .description('make a disk larger, also while the guest runs; it grows its partitions itself')
    .argument('<domain>')
    .argument('<disk>')
    .argument('<size>', 'in MiB, or such as 40G', diskOption)
    .action(async (domain: string, which: string, mib: number) => {
      const { id } = await findDomain(cli, domain)
      await cli.call('disks.resize', { id, disk: which, mib })
      await show(cli, id)
    })

  disk
    .command('rm <domain> <disk>')
    .description('remove an added disk with its content; snapshots keep theirs')
    .action(async (domain: string, which: string) => {
      const { id } = await findDomain(cli, domain)
      await cli.call('disks.remove', { id, disk: which })
      await show(cli, id)
    })

  disk
    .command('repair <domain> <disk>')
    .description('look at a disk, and mend a copy of it where it is damaged')
    .action(async (domain: string, which: string) => {
      const { id } = await findDomain(cli, domain)
      const task = await followTask(cli, await cli.call('disks.repair', { id, disk: which }))
      cli.print(task, `${which} is sound now.`)
    })
}

async function show(cli: CliSession, id: string): Promise<void> {
  const disks = await cli.call('disks.list', { id })
  cli.print(
    disks,
    disks.length === 0 ? 'No disks.' : table(['DISK', 'KIND', 'SIZE', 'USED', 'IMAGE', ''], disks.map(diskRow)),
  )
}

function diskRow({ id, kind, bytes, usedBytes, sealed, imageName, attached }: DiskView): string[] {
  const used = kind === 'disk' ? `${sizeText(usedBytes)}${sealed ? ', sealed' : ''}` : ''
  const content = imageName || (kind === 'disk' ? '' : 'empty')
  return [id, kind, bytes > 0 ? sizeText(bytes) : '', used, content, attached ? '' : 'detached']
}
