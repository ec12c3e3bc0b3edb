import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { safeText } from '../contract'
import { findDomain, findNamed } from './find'
import { addPolicyRuleCommands } from './policy-rules'
import { showPolicy, tellWarnings } from './policy-shown'
import type { CliSession } from './session'
import { table } from './text'

/** policy show, set, check, template, explain, allow, deny, log, rm. */
export function addPolicyCommands(program: Command, cli: CliSession): void {
  const policy = program.command('policy').description('with whom a guest may exchange what, and how much')

  policy
    .command('show <domain>')
    .description('show the policy as text')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      showPolicy(cli, await cli.call('policy.get', { id }))
    })

  policy
    .command('set <domain> <file>')
    .description("replace the policy by that of a file, or of standard input with '-'; it holds at once")
    .action(async (domain: string, file: string) => {
      const { id, name } = await findDomain(cli, domain)
      const { policy } = await checked(cli, id, file)
      const view = await cli.call('policy.set', { id, policy })
      cli.print(view, `The policy of ${name} holds now.`)
      tellWarnings(view.warnings)
    })

  policy
    .command('check <domain> <file>')
    .description('tell whether a file would be taken as the policy; changes nothing')
    .action(async (domain: string, file: string) => {
      const { id } = await findDomain(cli, domain)
      const { check } = await checked(cli, id, file)
      cli.print(check, `The policy in ${file} is valid.`)
      tellWarnings(check.warnings)
    })

  policy
    .command('template <domain> [template]')
    .description('list the templates, or replace the rules by those of one; limits stay')
    .action(async (domain: string, wanted: string | undefined) => {
      const found = await findDomain(cli, domain)
      await (wanted === undefined ? listTemplates(cli, found.id) : useTemplate(cli, found, wanted))
    })

  addExplainCommand(policy, cli)
  addPolicyRuleCommands(policy, cli)
}

interface ExplainOptions {
  in?: boolean
  protocol?: 'tcp' | 'udp' | 'icmp'
}

const WEB_PORT = '443'

function addExplainCommand(policy: Command, cli: CliSession): void {
  policy
    .command('explain <domain> <target> [port]')
    .description("tell what would happen to a connection to an address, a name, 'host' or 'domain:NAME'")
    .addOption(new Option('--protocol <protocol>', 'tcp unless told').choices(['tcp', 'udp', 'icmp']))
    .option('--in', 'the other side begins')
    .action(async (domain: string, target: string, given: string | undefined, options: ExplainOptions) => {
      const { id } = await findDomain(cli, domain)
      const protocol = options.protocol ?? 'tcp'
      const port = Number(given ?? (protocol === 'icmp' ? '0' : WEB_PORT))
      if (!Number.isInteger(port)) {
        throw new VmmError('invalid', `'${given ?? ''}' is no port.`, { hint: 'Give a number from 1 to 65535.' })
      }
      const direction = options.in ? 'in' : 'out'
      const explanation = await cli.call('policy.explain', { id, direction, protocol, target, port })
      cli.print(explanation, safeText(explanation.sentence, 4000))
    })
}

async function listTemplates(cli: CliSession, id: string): Promise<void> {
  const [templates, { template }] = [await cli.call('policy.templates', {}), await cli.call('policy.get', { id })]
  const rows = templates.map((each) => [each.id, each.name, each.id === template ? 'yes' : '', each.description])
  cli.print({ templates, template }, table(['TEMPLATE', 'NAME', 'NOW', ''], rows))
}

async function useTemplate(cli: CliSession, { id, name }: { id: string; name: string }, wanted: string): Promise<void> {
  const template = findNamed(
    await cli.call('policy.templates', {}),
    wanted,
    'template',
    `vivarium policy template ${name}`,
  )
  const { policy } = await cli.call('policy.get', { id })
  const view = await cli.call('policy.set', { id, policy: { ...policy, network: template.policy.network } })
  cli.print(view, `${name}: ${template.description}`)
}

/** What main says of the policy in `file`, and the policy; throws where it is none. */
async function checked(cli: CliSession, id: string, file: string) {
  const text = file === '-' ? await readAll(process.stdin) : await read(file)
  const check = await cli.call('policy.check', { id, text })
  if (check.policy) return { check, policy: check.policy }
  const { message = '', ...place } = check.fault ?? {}
  throw new VmmError('invalid', message, { context: place })
}

async function read(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new VmmError('not-found', `The file ${file} could not be read.`, { hint: 'Check its name.', cause })
  })
}
