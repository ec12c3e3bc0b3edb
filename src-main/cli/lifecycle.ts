import type { Command } from 'commander'
import type { CallResult } from '../contract'
import { findDomain } from './find'
import { followTask } from './follow-task'
import type { CliSession } from './session'

const TASKS = {
  stop: { call: 'domains.shutdown', summary: 'ask the guest to power off, and wait' },
  restart: { call: 'domains.restart', summary: 'start the guest anew' },
  save: { call: 'domains.save', summary: "suspend to disk; 'start' goes on from there" },
} as const

const STEPS = {
  pause: { call: 'domains.pause', summary: "hold the guest's processor" },
  resume: { call: 'domains.resume', summary: 'let a paused guest go on' },
  'force-off': { call: 'domains.forceOff', summary: 'cut the power' },
  discard: { call: 'domains.discard', summary: 'throw a saved state away' },
} as const

/** start, stop, pause and so on: one command for each verb that takes a domain and nothing else. */
export function addLifecycleCommands(program: Command, cli: CliSession): void {
  program
    .command('start <domain>')
    .description('start a domain, or go on with a saved one')
    .option('--cold', 'boot, even where a boot snapshot would be quicker')
    .action(async (given: string, options: { cold?: boolean }) => {
      const { id } = await findDomain(cli, given)
      await followTask(cli, await cli.call('domains.start', { id, cold: options.cold === true }))
      show(await cli.call('domains.get', { id }))
    })

  for (const [name, { call, summary }] of Object.entries(TASKS)) {
    program
      .command(`${name} <domain>`)
      .description(summary)
      .action(async (given: string) => {
        const { id } = await findDomain(cli, given)
        await followTask(cli, await cli.call(call, { id }))
        show(await cli.call('domains.get', { id }))
      })
  }

  for (const [name, { call, summary }] of Object.entries(STEPS)) {
    program
      .command(`${name} <domain>`)
      .description(summary)
      .action(async (given: string) => {
        const { id } = await findDomain(cli, given)
        show(await cli.call(call, { id }))
      })
  }

  function show(domain: CallResult<'domains.get'>): void {
    cli.print(domain, `${domain.name} is ${domain.state}.`)
  }
}
