import { type Command, Option } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import type { NetworkRuleInput } from '../../vmm/model/policy'
import { DIRECTIONS, NAME_LIMIT, PROTOCOLS, RULE_ACTIONS, type NetworkRule, type SandboxPolicy } from '../contract'
import { findDomain } from './find'
import { rateOption } from './limits'
import { given } from './options'
import { showPolicy } from './policy-shown'
import type { CliSession } from './session'

interface RuleOptions {
  name?: string
  direction: NetworkRule['direction']
  protocol: NetworkRule['protocol']
  port: string[]
  up?: number
  down?: number
  last?: boolean
}

const SUMMARIES = {
  allow: 'let a guest exchange something with peers',
  deny: 'refuse a guest something',
  log: 'note what a guest does, and leave the decision to the rules after it',
} as const

/** policy allow, deny, log, rm: one rule at a time. */
export function addPolicyRuleCommands(policy: Command, cli: CliSession): void {
  for (const action of RULE_ACTIONS) {
    const command = policy
      .command(`${action} <domain> <peer...>`)
      .description(
        `${SUMMARIES[action]}: any, public, private, neighbours, host, domain:NAME, group:NAME, an address, a block or a DNS name`,
      )
      .option('--name <name>', 'of the rule')
      .addOption(new Option('--direction <direction>', 'who begins').choices(DIRECTIONS).default('out'))
      .addOption(new Option('--protocol <protocol>').choices(PROTOCOLS).default('any'))
      .option(
        '--port <port>',
        'or a range, such as 8000-8999; may be repeated',
        (port, ports: string[]) => [...ports, port],
        [],
      )
      .option('--last', 'after all other rules, not before them')
    if (action === 'allow') {
      command
        .option('--up <rate>', 'bits a second that the guest may send, such as 5M', rateOption)
        .option('--down <rate>', 'bits a second that it may receive', rateOption)
    }
    command.action(async (domain: string, peers: string[], options: RuleOptions) => {
      const { id } = await findDomain(cli, domain)
      const { policy } = await cli.call('policy.get', { id })
      const { direction, protocol, port, up, down } = options
      const said = [action, peers[0] ?? '', ...(protocol === 'any' ? [] : [protocol]), port.join(',')].join(' ').trim()
      const name = options.name ?? freeName(policy, said)
      const rates = given({ upBits: up, downBits: down })
      const rule = { name, action, direction, protocol, peers, ports: port, ...rates }
      const { rules } = policy.network
      await store(cli, id, policy, options.last ? [...rules, rule] : [rule, ...rules])
    })
  }

  policy
    .command('rm <domain> <rule>')
    .description('remove a rule by its name')
    .action(async (domain: string, name: string) => {
      const found = await findDomain(cli, domain)
      const { policy } = await cli.call('policy.get', { id: found.id })
      const kept = policy.network.rules.filter((rule) => rule.name !== name)
      if (kept.length === policy.network.rules.length) {
        throw new VmmError('not-found', `There is no rule called '${name}'.`, {
          hint: `'vivarium policy show ${found.name}' shows what there is.`,
        })
      }
      await store(cli, found.id, policy, kept)
    })
}

async function store(cli: CliSession, id: string, policy: SandboxPolicy, rules: NetworkRuleInput[]): Promise<void> {
  showPolicy(cli, await cli.call('policy.set', { id, policy: { ...policy, network: { ...policy.network, rules } } }))
}

/** `said`, with a number where a rule is called so already. */
function freeName({ network }: SandboxPolicy, said: string): string {
  const taken = new Set(network.rules.map(({ name }) => name))
  const short = said.slice(0, NAME_LIMIT - 4)
  for (let number = 1; ; number++) {
    const name = number === 1 ? short : `${short} ${number}`
    if (!taken.has(name)) return name
  }
}
