import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import { safeText, type DenialView, type FileDenialView } from '../contract'
import { whatDenied } from './denials'
import { findDomain } from './find'
import type { CliSession } from './session'
import { printLine, table, timeText } from './text'

const FOLLOW_MS = 1000

/** A denial of either kind. Each kind counts for itself: `n7` is of the network, `f7` of files and the registry. */
interface Refusal {
  number: string
  at: number
  what: string
  rule: string
  count: number
  reason: string
}

/** denials, allow-once, forget-once: what a guest was refused of the network, of files and of the registry. */
export function addRefusalCommands(program: Command, cli: CliSession): void {
  program
    .command('denials <domain>')
    .description('list what a guest was refused of network, files and registry, and by which rule')
    .option('-f, --follow', 'go on as more is refused')
    .action(async (domain: string, { follow }: { follow?: boolean }) => {
      const { id } = await findDomain(cli, domain)
      if (follow && !cli.json) return followRefusals(cli, id)
      const asked = await ask(cli, id)
      const rows = refusals(asked).map(({ number, at, what, rule, count }) => {
        return [number, timeText(at), what, rule, String(count)]
      })
      const head = ['NUMBER', 'TIME', 'WHAT', 'RULE', 'TIMES']
      cli.print(asked, rows.length > 0 ? table(head, rows) : 'Nothing was refused.')
    })

  program
    .command('allow-once')
    .description('allow what was refused, until the machine ends')
    .argument('<domain>')
    .argument('<number>', "as 'denials' shows it, such as f7", refusalArgument)
    .action(async (domain: string, { kind, seq }: { kind: 'network' | 'files'; seq: number }) => {
      const { id } = await findDomain(cli, domain)
      if (kind === 'network') {
        const { once } = await cli.call('network.allowOnce', { id, seq })
        return cli.print({ network: once }, names(once))
      }
      const once = await cli.call('files.allowOnce', { id, seq })
      cli.print(once, names([...once.files, ...once.registry]))
    })

  program
    .command('forget-once <domain>')
    .description('take back all that was allowed once')
    .action(async (domain: string) => {
      const { id, name } = await findDomain(cli, domain)
      await cli.call('network.forgetOnce', { id })
      cli.print(await cli.call('files.forgetOnce', { id }), `Only the policy of ${name} holds now.`)
    })
}

const names = (rules: readonly { name: string }[]): string => rules.map(({ name }) => safeText(name)).join('\n')

/** `n7` or `f7`. */
export function refusalArgument(text: string): { kind: 'network' | 'files'; seq: number } {
  const [, letter, digits] = /^([nf])(\d{1,15})$/.exec(text) ?? []
  if (digits === undefined) throw new InvalidArgumentError("Give a number as 'vivarium denials' shows it, such as f7.")
  return { kind: letter === 'n' ? 'network' : 'files', seq: Number(digits) }
}

interface Asked {
  network: DenialView[]
  files: FileDenialView[]
}

async function ask(cli: CliSession, id: string): Promise<Asked> {
  return { network: await cli.call('network.denials', { id }), files: await cli.call('files.denials', { id }) }
}

/** Both kinds by their time. */
function refusals({ network, files }: Asked): Refusal[] {
  const shown = [
    ...network.map((denial) => ({ ...denial, number: `n${denial.seq}`, what: whatDenied(denial) })),
    ...files.map((denial) => ({ ...denial, number: `f${denial.seq}`, what: whatFile(denial) })),
  ]
  return shown.sort((a, b) => a.at - b.at)
}

function whatFile({ kind, operation, share, path }: FileDenialView): string {
  return kind === 'registry' ? `${operation} the key ${path}` : `${operation} ${share}:${path}`
}

/** Prints each denial once, until interrupted. */
async function followRefusals(cli: CliSession, id: string): Promise<void> {
  const told = new Set<string>()
  for (;;) {
    const now = refusals(await ask(cli, id))
    for (const { number, at, what, rule, reason } of now) {
      if (!told.has(number)) printLine(safeText(`${timeText(at)}  ${what}, by '${rule}'. ${reason} (${number})`))
      told.add(number)
    }
    // what main no longer keeps cannot come again
    const kept = new Set(now.map(({ number }) => number))
    for (const number of told) if (!kept.has(number)) told.delete(number)
    await sleep(FOLLOW_MS)
  }
}
