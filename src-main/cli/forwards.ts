import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import { VmmError } from '../../vmm/model/errors'
import { type Forward, type ForwardView, safeText } from '../contract'
import { findDomain } from './find'
import { given } from './options'
import type { CliSession } from './session'
import { table } from './text'

/** network forward ls, add, rm: ports of the host that lead to a guest. */
export function addForwardCommands(network: Command, cli: CliSession): void {
  const forward = network.command('forward').description('ports of the host that lead to a guest')

  forward
    .command('ls <domain>')
    .alias('list')
    .description('list them')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      show(cli, (await cli.call('network.get', { id })).forwards)
    })

  forward
    .command('add')
    .description('let a port of the host lead to one of the guest, at once and from now on')
    .argument('<domain>')
    .argument('<ports>', 'such as 8080:80, 5353:53/udp or 0.0.0.0:8080:80; at 127.0.0.1 unless told', forwardArgument)
    .action(async (domain: string, wanted: GivenForward) => {
      const { id } = await findDomain(cli, domain)
      show(cli, (await cli.call('network.addForward', { id, forward: wanted })).forwards)
    })

  forward
    .command('rm')
    .alias('remove')
    .description('close a port of the host')
    .argument('<domain>')
    .argument('<port>', "the host's port, or as 'ls' names it")
    .action(async (domain: string, which: string) => {
      const { id, name } = await findDomain(cli, domain)
      const { forwards } = await cli.call('network.get', { id })
      const key = keyOf(forwards, which, name)
      show(cli, (await cli.call('network.removeForward', { id, key })).forwards)
    })
}

type GivenForward = Omit<Forward, 'hostAddress'> & { hostAddress?: string }

/** `[ADDRESS:]HOSTPORT:GUESTPORT[/udp]`. */
export function forwardArgument(text: string): GivenForward {
  const [, address, host, guest, protocol] = /^(?:([\d.]+):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/.exec(text) ?? []
  if (host === undefined || guest === undefined) {
    throw new InvalidArgumentError('Give ports of host and guest, such as 8080:80 or 127.0.0.1:5353:53/udp.')
  }
  return {
    protocol: protocol === 'udp' ? 'udp' : 'tcp',
    hostPort: Number(host),
    guestPort: Number(guest),
    ...given({ hostAddress: address }),
  }
}

function keyOf(forwards: readonly ForwardView[], which: string, domain: string): string {
  const matches = forwards.filter(({ key, hostPort }) => key === which || String(hostPort) === which)
  const hint = `'vivarium network forward ls ${domain}' shows what there is.`
  const [only, other] = matches
  if (!only) throw new VmmError('not-found', `No port forward is called '${which}'.`, { hint })
  if (other) {
    const keys = matches.map(({ key }) => key).join(', ')
    throw new VmmError('invalid', `'${which}' names ${matches.length} port forwards.`, { hint: `Use one of: ${keys}.` })
  }
  return only.key
}

function show(cli: CliSession, forwards: readonly ForwardView[]): void {
  cli.print(forwards, forwards.length > 0 ? forwardTable(forwards) : 'No port forwards.')
}

export function forwardTable(forwards: readonly ForwardView[]): string {
  const rows = forwards.map(({ key, guestPort, state, reason }) => [key, String(guestPort), state, safeText(reason)])
  return table(['HOST PORT', 'GUEST PORT', 'STATE', ''], rows)
}
