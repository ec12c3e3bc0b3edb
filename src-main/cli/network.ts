import type { Command } from 'commander'
import type { FlowView, ForwardView, NetworkView, NicView, SegmentView } from '../contract'
import { addCaptureCommands } from './captures'
import { addDenialsCommand, addOnceCommands } from './denials'
import { findDomain } from './find'
import { addForwardCommands, forwardTable } from './forwards'
import { addMirrorCommands } from './mirrors'
import { cardOption } from './options'
import type { CliSession } from './session'
import { durationText, sizeText, table } from './text'

interface CardOptions {
  card: number
}

/** network show, connect, plug, unplug, flows, denials, forward, segments, mirror, capture. */
export function addNetworkCommands(program: Command, cli: CliSession): void {
  const network = program.command('network').description('network cards, what goes over them, and where it may go')

  network
    .command('show <domain>', { isDefault: true })
    .description('show the network cards and port forwards of a domain')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      showNetwork(cli, await cli.call('network.get', { id }))
    })

  network
    .command('connect <domain> <network>')
    .description("plug a card into 'gateway' or into a segment, which is made when nobody is on it yet")
    .option('--card <number>', 'which card, counted from 1', cardOption, 1)
    .action(async (domain: string, name: string, { card }: CardOptions) => {
      const { id } = await findDomain(cli, domain)
      const place = name === 'gateway' ? { mode: 'gateway' as const } : { mode: 'segment' as const, segment: name }
      showNetwork(cli, await cli.call('network.connect', { id, nic: card - 1, ...place, plugged: true }))
    })

  const CABLES = [
    ['plug', 'put the cable of a card in', true],
    ['unplug', 'pull the cable of a card', false],
  ] as const
  for (const [name, summary, plugged] of CABLES) {
    network
      .command(`${name} <domain>`)
      .description(summary)
      .option('--card <number>', 'which card, counted from 1', cardOption, 1)
      .action(async (domain: string, { card }: CardOptions) => {
        const { id } = await findDomain(cli, domain)
        showNetwork(cli, await cli.call('network.connect', { id, nic: card - 1, plugged }))
      })
  }

  network
    .command('flows <domain>')
    .description('list connections that are open, or were not long ago')
    .action(async (domain: string) => {
      const { id } = await findDomain(cli, domain)
      const flows = await cli.call('network.flows', { id })
      const head = ['CARD', 'WHO', 'WHAT', 'UP', 'DOWN', 'AGE', 'RULE']
      cli.print(flows, flows.length > 0 ? table(head, flows.map(flowRow)) : 'There are no connections.')
    })

  network
    .command('segments')
    .description('list the networks of this host and who is on them')
    .action(async () => {
      const { segments, restarts, trouble } = await cli.call('networks.get', {})
      const head = ['NETWORK', 'SUBNET', 'DOMAIN', 'CARD', 'ADDRESS', 'MAC', '']
      cli.print({ segments, restarts, trouble }, table(head, segments.flatMap(segmentRows)))
    })

  addDenialsCommand(network, cli)
  addOnceCommands(network, cli)
  addForwardCommands(network, cli)
  addMirrorCommands(network, cli)
  addCaptureCommands(network, cli)
}

function showNetwork(cli: CliSession, view: NetworkView): void {
  const head = ['CARD', 'NETWORK', 'ADDRESS', 'MAC', 'UP', 'DOWN', '']
  const cards = view.nics.length > 0 ? table(head, view.nics.map(nicRow)) : 'No network cards.'
  const rules = view.ruleCount === 1 ? '1 rule' : `${view.ruleCount} rules`
  const policy = `Policy: ${view.template ? `the template '${view.template}'` : rules}.`
  cli.print(view, [cards, ...forwardLines(view.forwards), policy].join('\n'))
}

function forwardLines(forwards: readonly ForwardView[]): string[] {
  return forwards.length > 0 ? ['', forwardTable(forwards), ''] : []
}

function nicRow(nic: NicView): string[] {
  const { index, mode, segment, plugged, address, mac, linked, upBytes, downBytes, upPerSecond, downPerSecond } = nic
  const lost = nic.dropped > 0 ? `${nic.dropped} dropped` : ''
  const state = plugged ? (linked ? (nic.leased ? '' : 'no address asked for yet') : 'off') : 'unplugged'
  const amount = (bytes: number, rate: number): string => `${sizeText(bytes)} (${sizeText(rate)}/s)`
  return [
    String(index + 1),
    mode === 'gateway' ? 'gateway' : segment,
    address,
    mac,
    amount(upBytes, upPerSecond),
    amount(downBytes, downPerSecond),
    [state, lost].filter(Boolean).join(', '),
  ]
}

function flowRow(flow: FlowView): string[] {
  const { nic, direction, protocol, peer, peerName, port, action, rule, upBytes, downBytes, startedAt, lastAt } = flow
  const who = peerName ? `${peerName} (${peer})` : peer
  return [
    String(nic + 1),
    `${direction === 'out' ? 'to' : 'from'} ${who}`,
    port > 0 ? `${protocol} ${port}` : protocol,
    sizeText(upBytes),
    sizeText(downBytes),
    durationText(lastAt - startedAt),
    action === 'allow' ? rule : `denied: ${rule}`,
  ]
}

function segmentRows({ name, subnet, ports }: SegmentView): string[][] {
  const network = name === '' ? 'gateway' : name
  const rows = ports.map(({ domainName, nic, address, mac, plugged, linked }) => {
    return [network, subnet, domainName, String(nic + 1), address, mac, plugged ? (linked ? '' : 'off') : 'unplugged']
  })
  return rows.length > 0 ? rows : [[network, subnet, 'nobody', '', '', '', '']]
}
