import type { Command } from 'commander'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AppView, LogEntryView, TaskView } from '../contract'
import { findDomain, findNamed } from './find'
import { progressText } from './follow-task'
import { given, portOption, wholeNumber } from './options'
import { passphraseOf } from './passphrase'
import type { CliSession } from './session'
import { facts, printLine, table, timeText } from './text'

const FOLLOW_MS = 1000

/** task ls and cancel, logs, info, serve. */
export function addAppCommands(program: Command, cli: CliSession): void {
  const task = program.command('task').description('long work under way')

  task
    .command('ls')
    .description('list the tasks')
    .action(async () => {
      const all = await cli.call('tasks.list', {})
      cli.print(all, all.length > 0 ? table(['STATE', 'TASK', 'ID'], all.map(taskRow)) : 'Nothing is under way.')
    })

  task
    .command('cancel <task>')
    .description('stop a task')
    .action(async (name: string) => {
      const all = (await cli.call('tasks.list', {})).map((each) => ({ ...each, name: each.title }))
      const { id } = findNamed(all, name, 'task', 'vivarium task ls')
      cli.print(await cli.call('tasks.cancel', { id }), '')
    })

  program
    .command('logs [domain]')
    .description('show what happened, to one domain or to all')
    .option('-n, --lines <count>', 'how many entries', wholeNumber(1, 1000), 100)
    .option('-f, --follow', 'go on as more is written')
    .action(async (domain: string | undefined, { lines, follow }: { lines: number; follow?: boolean }) => {
      const id = domain === undefined ? undefined : (await findDomain(cli, domain)).id
      const entries = await cli.call('log.read', { ...given({ domainId: id }), limit: lines })
      cli.print(entries, entries.map(logLine).join('\n'))
      if (follow && !cli.json) await followLog(cli, id, entries.at(-1)?.seq ?? 0)
    })

  program
    .command('info')
    .description('show this Vivarium and what it can do here')
    .action(async () => {
      const app = await cli.call('app.info', {})
      cli.print(app, infoText(app))
    })

  program
    .command('serve')
    .description('run Vivarium without a window, for a browser on this machine')
    .option('--port <port>', 'TCP port on 127.0.0.1', portOption, 0)
    .option('--passphrase-file <file>', 'a file with the passphrase that opens the keys')
    .action(async ({ port, passphraseFile }: { port: number; passphraseFile?: string }) => {
      const passphrase = passphraseFile === undefined ? undefined : await passphraseOf(passphraseFile)
      const { runHeadless } = await import('../run-headless')
      const tell = (line: string, url: string): void => cli.print({ message: line, url }, line)
      await runHeadless({ port, onDemand: false, tell, ...given({ passphrase }) })
    })
}

function taskRow(task: TaskView): string[] {
  return [task.state, task.failure?.message ?? progressText(task), task.id]
}

function logLine({ at, level, message }: LogEntryView): string {
  return `${timeText(at)}  ${level === 'info' ? '' : `${level}: `}${message}`
}

/** Prints new entries until interrupted. */
async function followLog(cli: CliSession, id: string | undefined, from: number): Promise<void> {
  let last = from
  for (;;) {
    await sleep(FOLLOW_MS)
    const entries = await cli.call('log.read', { ...given({ domainId: id }), limit: 1000 })
    for (const entry of entries.filter(({ seq }) => seq > last)) printLine(logLine(entry))
    last = entries.at(-1)?.seq ?? last
  }
}

function infoText(app: AppView): string {
  const engines = app.engines.map(({ name, isolation, works, reason }): [string, string] => [
    `Engine ${name}`,
    works ? `works (${isolation})` : reason,
  ])
  const { ready, buildable, reason } = app.starter
  const starter = ready ? 'ready' : buildable ? "not prepared yet; 'vivarium image prepare' does it" : reason
  return facts([
    ['Vivarium', app.version],
    ['Shell', app.shell],
    ['Data folder', app.dataFolder],
    ['Starter image', starter],
    ...engines,
  ])
}
