import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { IMAGE_KINDS, type ImageKind } from '../../vmm/model/image'
import { findImage } from './find'
import { followTask } from './follow-task'
import { given } from './options'
import type { CliSession } from './session'
import { sizeText, table } from './text'

interface ImportOptions {
  name?: string
  kind?: Exclude<ImageKind, 'starter'>
  cmdline?: string
}

/** image ls, prepare, import, rm. */
export function addImageCommands(program: Command, cli: CliSession): void {
  const image = program.command('image').description('what domains boot')

  image
    .command('ls')
    .description('list the images')
    .action(async () => {
      const all = await cli.call('images.list', {})
      const rows = all.map((each) => [
        each.name,
        each.damage || each.kind,
        sizeText(each.bytes),
        each.agent ? 'yes' : 'no',
        String(each.usedBy),
        each.id,
      ])
      const none = "No images yet. 'vivarium image prepare' makes the starter image."
      cli.print(all, rows.length > 0 ? table(['NAME', 'KIND', 'SIZE', 'AGENT', 'USED BY', 'ID'], rows) : none)
    })

  image
    .command('prepare')
    .description('make sure that the starter image is there')
    .action(async () => {
      const task = await followTask(cli, await cli.call('images.prepareStarter', {}))
      const made = await findImage(cli, task.resultId)
      cli.print(made, `${made.name} (${made.id})`)
    })

  image
    .command('import <file> [initrd]')
    .description(
      'take in an ISO, a disk (raw, qcow2, VMDK, VDI, VHD, VHDX), an OVA, a floppy, or a kernel with its initrd',
    )
    .option('--name <name>', 'a name for it; otherwise the name of the file')
    .addOption(new Option('--kind <kind>', 'what it is; otherwise found from the content').choices(importable))
    .option('--cmdline <text>', 'kernel command line')
    .action(async (file: string, initrd: string | undefined, options: ImportOptions) => {
      const sources = [file, ...(initrd === undefined ? [] : [initrd])].map((path) => ({ path: resolve(path) }))
      const shape = given({ name: options.name, kind: options.kind, cmdline: options.cmdline })
      const task = await followTask(cli, await cli.call('images.import', { sources, ...shape }))
      const made = await findImage(cli, task.resultId)
      cli.print(made, `${made.name} (${made.id})`)
    })

  image
    .command('rm <image>')
    .description('delete an image that no domain uses')
    .action(async (name: string) => {
      const { id } = await findImage(cli, name)
      await cli.call('images.remove', { id })
      cli.print({ id }, '')
    })
}

const importable = IMAGE_KINDS.filter((kind) => kind !== 'starter')
