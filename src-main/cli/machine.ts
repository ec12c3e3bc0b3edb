import type { Command } from 'commander'
import { shellLine } from '../../vmm/model/shell-words'
import { findDomain } from './find'
import { memoryOption } from './options'
import type { CliSession } from './session'
import { table } from './text'

/** memory, command-line, addresses: what a machine is made of and what its guest says. */
export function addMachineCommands(program: Command, cli: CliSession): void {
  program
    .command('memory')
    .description('leave a running guest this much of its memory')
    .argument('<domain>')
    .argument('<MiB>', 'at most what its settings say', memoryOption)
    .action(async (domain: string, memoryMiB: number) => {
      const { id } = await findDomain(cli, domain)
      const { name, memoryNowMiB } = await cli.call('domains.setMemory', { id, memoryMiB })
      const now = await cli.call('domains.get', { id })
      const has = memoryNowMiB === null ? '' : ` It has ${memoryNowMiB} MiB now, and gives way by and by.`
      cli.print(now, `${name} was asked to do with ${memoryMiB} MiB.${has}`)
    })

  program
    .command('command-line <domain>')
    .description('show the command that starts the machine')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      const { words } = await cli.call('domains.commandLine', { id })
      cli.print({ words }, words.length > 0 ? shellLine(words) : 'This engine starts no command.')
    })

  program
    .command('addresses <domain>')
    .description('show the network addresses that the guest tells')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      const interfaces = await cli.call('domains.interfaces', { id })
      const rows = interfaces.map(({ name, mac, addresses }) => [name, mac, addresses.join(' ')])
      cli.print(interfaces, rows.length > 0 ? table(['NAME', 'MAC', 'ADDRESSES'], rows) : 'The guest tells none.')
    })
}
