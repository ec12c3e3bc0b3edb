import type { Command } from 'commander'
import { untilAgentAnswers } from './agent'
import { findDomain } from './find'
import { commandStatus, execute, readStdin } from './execute'
import type { CliSession } from './session'
import { stoppable } from './stoppable'

/** exec: one command in a running guest. */
export function addExecCommand(program: Command, cli: CliSession): void {
  program
    .command('exec <domain> <command...>')
    .description("run a command in a guest; its output and status become this command's")
    .option('-n, --no-stdin', 'do not read standard input')
    .passThroughOptions()
    .action((domain: string, argv: string[], options: { stdin: boolean }) =>
      stoppable(async (stopped) => {
        const { id } = await findDomain(cli, domain)
        await untilAgentAnswers(cli, id, stopped)
        const stdin = options.stdin ? await readStdin(stopped) : null
        return commandStatus(await execute(cli, { id, argv: withoutDashes(argv), stdin, stopped }))
      }),
    )
}

/** Commander keeps a `--` that comes after the first argument. */
function withoutDashes(argv: string[]): string[] {
  return argv[0] === '--' ? argv.slice(1) : argv
}
