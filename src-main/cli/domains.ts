import type { Command } from 'commander'
import type { EngineId } from '../../vmm/model/domain'
import type { DomainView } from '../contract'
import { engineFor, engineOption } from './engine'
import { findDomain } from './find'
import { followTask } from './follow-task'
import { addHardwareOptions, hardwareOf, type HardwareOptions } from './hardware'
import { diskOption, given, memoryOption } from './options'
import type { CliSession } from './session'
import { imageOrStarter } from './starter'
import { durationText, table } from './text'

interface NewOptions extends HardwareOptions {
  engine?: EngineId
  image?: string
  memory?: number
  disk?: number
  group?: string
  notes?: string
  instant: boolean
  start?: boolean
}

interface SetOptions extends HardwareOptions {
  memory?: number
  group?: string
  notes?: string
  instant?: boolean
}

/** ls, new, clone, rename, set, rm: what domains there are and what they should be. */
export function addDomainCommands(program: Command, cli: CliSession): void {
  program
    .command('ls')
    .description('list the domains')
    .action(async () => {
      const domains = await cli.call('domains.list', {})
      cli.print(domains, domainTable(domains, Date.now()))
    })

  addHardwareOptions(
    program
      .command('new <name>')
      .description('make a domain, from the starter image where no other is named')
      .option('--image <name>', 'what it boots, by name or id')
      .addOption(engineOption())
      .option('--memory <MiB>', 'guest memory', memoryOption)
      .option('--disk <size>', 'an empty disk of its own, in MiB or such as 20G', diskOption)
      .option('--group <name>', 'heading in the list')
      .option('--notes <text>', 'free text')
      .option('--no-instant', 'boot each time instead of resuming from the boot snapshot')
      .option('--start', 'start it as well'),
  ).action(async (name: string, options: NewOptions) => {
    const imageId = await imageOrStarter(cli, options.image)
    const engine = await engineFor(cli, options.engine, imageId)
    const { memory, disk, group, notes, instant } = options
    const shape = given({ memoryMiB: memory, diskMiB: disk, group, notes })
    const spec = { name, imageId, instantStart: instant, ...engine, ...shape, ...hardwareOf(options) }
    const made = await cli.call('domains.create', { spec })
    if (options.start) await followTask(cli, await cli.call('domains.start', { id: made.id }))
    cli.print(await cli.call('domains.get', { id: made.id }), `${made.name} (${made.id})`)
  })

  program
    .command('clone <domain> [name]')
    .description('copy a domain with its disks')
    .option('--linked', 'share the disk content that neither of the two changes')
    .action(async (domain: string, name: string | undefined, { linked }: { linked?: boolean }) => {
      const { id } = await findDomain(cli, domain)
      const task = await followTask(cli, await cli.call('domains.clone', { id, ...given({ name, linked }) }))
      const made = await cli.call('domains.get', { id: task.resultId })
      cli.print(made, `${made.name} (${made.id})`)
    })

  program
    .command('rename <domain> <name>')
    .description('give a domain another name')
    .action(async (domain: string, name: string) => {
      const { id } = await findDomain(cli, domain)
      cli.print(await cli.call('domains.update', { id, patch: { name } }), '')
    })

  addHardwareOptions(
    program
      .command('set <domain>')
      .description('change the settings of a domain')
      .option('--memory <MiB>', 'guest memory', memoryOption)
      .option('--group <name>', "heading in the list, '' for none")
      .option('--notes <text>', 'free text')
      .option('--instant', 'resume from the boot snapshot of the image')
      .option('--no-instant', 'boot each time'),
  ).action(async (domain: string, options: SetOptions) => {
    const { id } = await findDomain(cli, domain)
    const { memory, group, notes, instant } = options
    const patch = { ...given({ memoryMiB: memory, group, notes, instantStart: instant }), ...hardwareOf(options) }
    cli.print(await cli.call('domains.update', { id, patch }), '')
  })

  program
    .command('rm <domain>')
    .description('move a domain to the trash')
    .action(async (domain: string) => {
      const { id, name } = await findDomain(cli, domain)
      await cli.call('domains.delete', { id })
      cli.print({ id, name }, `${name} is in the trash. 'vivarium trash restore ${id}' brings it back.`)
    })
}

function domainTable(domains: readonly DomainView[], now: number): string {
  if (domains.length === 0) return "No domains yet. 'vivarium new NAME' makes one."
  const rows = domains.map((domain) => [
    domain.name,
    domain.template ? 'template' : domain.state,
    domain.startedAt === null ? '' : durationText(now - domain.startedAt),
    `${domain.memoryMiB} MiB`,
    `${domain.engine} (${domain.isolation})`,
    domain.imageName,
    domain.id,
  ])
  return table(['NAME', 'STATE', 'UP', 'MEMORY', 'ENGINE', 'IMAGE', 'ID'], rows)
}
