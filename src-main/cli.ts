import { CommanderError } from 'commander'
import { toFailure, VmmError } from '../vmm/model/errors'
import { vivariumCommand } from './cli/program'
import { CliSession } from './cli/session'
import { safeText } from './contract'

/** Exit statuses besides 0 and, for exec and run, the guest command's own. */
const FAILURE = 1
const USAGE = 2

// a reader such as `head` that has seen enough is no failure
process.stdout.on('error', () => process.exit(0))

runCli(process.argv.slice(2)).then(
  // not before everything written has left
  (status) => process.stdout.write('', () => process.exit(status)),
  () => process.exit(FAILURE),
)

/** Runs one command line (without node and the script); returns the exit status. */
async function runCli(args: readonly string[]): Promise<number> {
  const cli = new CliSession()
  try {
    await vivariumCommand(cli).parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return usageStatus(error, args)
    report(error, cli.json)
    return FAILURE
  } finally {
    await cli.close()
  }
}

/** Commander has printed what is wrong, or the help or version that was asked for. */
function usageStatus(error: CommanderError, args: readonly string[]): number {
  if (error.exitCode === 0) return 0
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args
  if (own.includes('--json')) printFailure(new VmmError('invalid', error.message.replace(/^error: /, '')))
  return USAGE
}

function report(error: unknown, json: boolean): void {
  if (json) return printFailure(error)
  const { message, hint } = toFailure(error)
  process.stderr.write(`vivarium: ${safeText(message, 2000)}\n`)
  if (hint) process.stderr.write(`${safeText(hint, 2000)}\n`)
}

function printFailure(error: unknown): void {
  process.stdout.write(`${JSON.stringify({ ok: false, failure: toFailure(error) }, null, 2)}\n`)
}
