import { Command } from 'commander'
import { version } from '../../package.json'
import { addAppCommands } from './app'
import { addConsoleCommand } from './console'
import { addDiskCommands } from './disks'
import { addDomainCommands } from './domains'
import { addEngineCommand } from './engine'
import { addExecCommand } from './exec'
import { addExportCommand } from './exports'
import { addImageCommands } from './images'
import { addIoCommand } from './io'
import { addKeyCommands } from './keys'
import { addLifecycleCommands } from './lifecycle'
import { addLimitsCommand } from './limits'
import { addMachineCommands } from './machine'
import { addNetworkCommands } from './network'
import { addPolicyCommands } from './policy'
import { addRefusalCommands } from './refusals'
import { addRegistryCommands } from './registry'
import { addRunCommand } from './run'
import { addScreenshotCommand } from './screenshot'
import type { CliSession } from './session'
import { addShareCommands } from './shares'
import { addSnapshotCommands } from './snapshots'
import { addTrashCommands } from './trash'

/** The whole `vivarium` command: a client of the contract. */
export function vivariumCommand(cli: CliSession): Command {
  const program = new Command('vivarium')
    .description('isolated guest machines with policy, profile and inspection')
    .version(version)
    .enablePositionalOptions()
    .showHelpAfterError("('vivarium --help' lists the commands)")
  addDomainCommands(program, cli)
  addLifecycleCommands(program, cli)
  addConsoleCommand(program, cli)
  addExecCommand(program, cli)
  addScreenshotCommand(program, cli)
  addRunCommand(program, cli)
  addSnapshotCommands(program, cli)
  addDiskCommands(program, cli)
  addLimitsCommand(program, cli)
  addMachineCommands(program, cli)
  addNetworkCommands(program, cli)
  addPolicyCommands(program, cli)
  addShareCommands(program, cli)
  addIoCommand(program, cli)
  addRegistryCommands(program, cli)
  addRefusalCommands(program, cli)
  addKeyCommands(program, cli)
  addTrashCommands(program, cli)
  addImageCommands(program, cli)
  addEngineCommand(program, cli)
  addExportCommand(program, cli)
  addAppCommands(program, cli)
  for (const command of everyCommand(program)) {
    command.exitOverride()
    if (command.commands.length === 0) command.option('--json', 'print one JSON document')
  }
  program.hook('preAction', (_program, chosen) => {
    cli.json = chosen.opts<{ json?: boolean }>().json === true
  })
  return program
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}
