import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { safeText, type DenialView } from '../contract'
import { findDomain } from './find'
import { wholeNumber } from './options'
import type { CliSession } from './session'
import { printLine, table, timeText } from './text'

const FOLLOW_MS = 1000

/** network denials: what a guest was refused, and by which rule. */
export function addDenialsCommand(network: Command, cli: CliSession): void {
  network
    .command('denials <domain>')
    .description('list what a guest was refused, and by which rule')
    .option('-f, --follow', 'go on as more is refused')
    .action(async (domain: string, { follow }: { follow?: boolean }) => {
      const { id } = await findDomain(cli, domain)
      const denials = await cli.call('network.denials', { id })
      if (follow && !cli.json) return followDenials(cli, id, denials)
      const head = ['NUMBER', 'TIME', 'WHAT', 'RULE', 'TIMES']
      cli.print(denials, denials.length > 0 ? table(head, denials.map(denialRow)) : 'Nothing was refused.')
    })
}

/** network allow-once, forget-once. */
export function addOnceCommands(network: Command, cli: CliSession): void {
  network
    .command('allow-once')
    .description('allow what was refused, until the machine ends')
    .argument('<domain>')
    .argument('<number>', 'of the denial', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .action(async (domain: string, seq: number) => {
      const { id } = await findDomain(cli, domain)
      const view = await cli.call('network.allowOnce', { id, seq })
      cli.print(view, view.once.map(({ name }) => safeText(name)).join('\n'))
    })

  network
    .command('forget-once <domain>')
    .description('take back all that was allowed once')
    .action(async (domain: string) => {
      const { id, name } = await findDomain(cli, domain)
      cli.print(await cli.call('network.forgetOnce', { id }), `Only the policy of ${name} holds now.`)
    })
}

function denialRow(denial: DenialView): string[] {
  return [String(denial.seq), timeText(denial.at), whatDenied(denial), denial.rule, String(denial.count)]
}

export function whatDenied({ direction, protocol, peer, peerName, port }: DenialView): string {
  const who = peerName ? `${peerName} (${peer})` : peer
  return `${protocol} ${direction === 'out' ? 'to' : 'from'} ${who}${port > 0 ? ` port ${port}` : ''}`
}

/** Prints each denial once, until interrupted. */
async function followDenials(cli: CliSession, id: string, known: readonly DenialView[]): Promise<void> {
  const line = (denial: DenialView): string =>
    safeText(`${timeText(denial.at)}  ${whatDenied(denial)}, by '${denial.rule}'. ${denial.reason} (${denial.seq})`)
  for (const denial of known) printLine(line(denial))
  let last = known.at(-1)?.seq ?? 0
  for (;;) {
    await sleep(FOLLOW_MS)
    for (const denial of await cli.call('network.denials', { id })) {
      if (denial.seq <= last) continue
      last = denial.seq
      printLine(line(denial))
    }
  }
}
