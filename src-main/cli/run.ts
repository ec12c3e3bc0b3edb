import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import type { EngineId } from '../../vmm/model/domain'
import { untilAgentAnswers } from './agent'
import { engineFor, engineOption } from './engine'
import { commandStatus, execute, readStdin } from './execute'
import { followTask } from './follow-task'
import { given, memoryOption } from './options'
import type { CliSession } from './session'
import { imageOrStarter } from './starter'
import { stoppable } from './stoppable'

/** How long main may take to remove the domain. */
const REMOVE_MS = 15_000
const PAUSE_MS = 50

interface RunOptions {
  engine?: EngineId
  memory?: number
  image?: string
  stdin: boolean
}

/** run: one command in a guest of its own, which leaves nothing behind. */
export function addRunCommand(program: Command, cli: CliSession): void {
  program
    .command('run <command...>')
    .description('run a command in a fresh guest that is gone afterwards')
    .addOption(engineOption())
    .option('--memory <MiB>', 'guest memory', memoryOption)
    .option('--image <name>', 'what it boots; otherwise the starter image')
    .option('-n, --no-stdin', 'do not read standard input')
    .passThroughOptions()
    .action((argv: string[], options: RunOptions) => stoppable((stopped) => runOnce(cli, argv, options, stopped)))
}

async function runOnce(cli: CliSession, argv: string[], options: RunOptions, stopped: AbortSignal): Promise<number> {
  const stdin = options.stdin ? await readStdin(stopped) : null
  const imageId = await imageOrStarter(cli, options.image, stopped)
  const engine = await engineFor(cli, options.engine, imageId)
  const name = `run-${randomBytes(4).toString('hex')}`
  const spec = { name, imageId, ...engine, ...given({ memoryMiB: options.memory }) }
  // main removes an ephemeral domain by itself when this client leaves, however it leaves
  const { id } = await cli.call('domains.create', { spec, ephemeral: true })
  try {
    await followTask(cli, await cli.call('domains.start', { id }), stopped)
    await untilAgentAnswers(cli, id, stopped)
    return commandStatus(await execute(cli, { id, argv, stdin, stopped }))
  } finally {
    await remove(cli, id)
  }
}

/** Waits until the domain is gone, so that nothing is left when the command ends. */
async function remove(cli: CliSession, id: string): Promise<void> {
  const deadline = Date.now() + REMOVE_MS
  try {
    await cli.call('domains.forceOff', { id })
  } catch {
    // it is off already, or gone
  }
  while (Date.now() < deadline) {
    const left = await cli.call('domains.get', { id }).catch(() => null)
    if (!left) return
    await sleep(PAUSE_MS)
  }
}
