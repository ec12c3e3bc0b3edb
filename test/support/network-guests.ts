import type { CallArgs, DomainSpecInput } from '../../src-main/contract'
import { finish, shell, until, type Call } from './vivarium'

export type PolicyInput = CallArgs<'policy.set'>['policy']
type RuleInput = NonNullable<NonNullable<PolicyInput['network']>['rules']>[number]

/** With these programs in it the embedded guest needs more memory than is usual. */
const MEMORY_MIB = 256

export const rule = (name: string, peers: string[], more: Partial<RuleInput> = {}): RuleInput => ({
  name,
  action: 'allow',
  peers,
  ...more,
})
export const rules = (...all: RuleInput[]): PolicyInput => ({ network: { rules: all } })

export interface NetworkGuest {
  id: string
  /** Of its cards, in their order. */
  addresses: string[]
  /** Runs a shell line in it; what it printed, trimmed. Fails when the line fails. */
  shell(line: string): Promise<string>
  setPolicy(policy: PolicyInput): Promise<void>
}

export interface GuestNetworks {
  /** Where each card is plugged in: the name of a segment, or '' for the gateway's network. */
  networks?: string[]
  policy?: PolicyInput
  spec?: Partial<DomainSpecInput>
}

/** A domain of the starter image with the network's tools, running, each card with its address. */
export async function startNetworkGuest(call: Call, name: string, more: GuestNetworks = {}): Promise<NetworkGuest> {
  const { networks = [''], policy = {}, spec = {} } = more
  const { resultId: imageId } = await finish(call, call('images.prepareStarter', {}))
  const nics = networks.map(() => ({ model: 'virtio' as const }))
  const { id } = await call('domains.create', {
    spec: { name, engine: 'qemu', imageId, memoryMiB: MEMORY_MIB, nics, ...spec },
  })
  for (const [nic, segment] of networks.entries()) {
    if (segment !== '') await call('network.connect', { id, nic, mode: 'segment', segment })
  }
  await call('policy.set', { id, policy })
  await finish(call, call('domains.start', { id }))
  await until(call, id, ({ agent }) => agent === 'ready')
  const guest: NetworkGuest = {
    id,
    addresses: (await call('network.get', { id })).nics.map(({ address }) => address),
    shell: (line) => shell(call, id, line),
    setPolicy: async (wanted) => {
      await call('policy.set', { id, policy: wanted })
    },
  }
  for (const [nic, address] of guest.addresses.entries()) {
    await guest.shell(`until ip -4 addr show eth${nic} | grep -q 'inet ${address}/'; do sleep 0.2; done`)
  }
  return guest
}
