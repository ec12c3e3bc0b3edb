import { computed, watch } from 'vue'
import type { CallArgs, DomainView, NetworkView } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { useNetworkEvents } from '../stores/network'
import { useNotices } from '../stores/notices'
import { isLive } from '../state-words'
import { useReading } from './useReading'
import { usePolling } from './useVisible'

const TOTALS_EVERY_MS = 2000

export type ForwardWish = CallArgs<'network.addForward'>['forward']
type Connection = Pick<CallArgs<'network.connect'>, 'mode' | 'segment' | 'plugged'>

/** The network cards of a domain and the ports that lead to it, and what can be done to them. */
export function useNetwork(domain: () => DomainView) {
  const app = useApp()
  const events = useNetworkEvents()
  const notices = useNotices()
  const kept = computed(() => events.of(domain().id))
  const id = (): string => domain().id

  const reading = useReading<NetworkView>(
    () => app.call('network.get', { id: id() }),
    () => `${id()} ${domain().state} ${JSON.stringify(domain().nics)} ${kept.value.changes.value}`,
  )
  watch(
    () => [id(), app.status.phase],
    // a failure here costs only the older part of the charts
    () => app.status.phase === 'open' && void events.readSamples(id()).catch(() => {}),
    { immediate: true },
  )

  // totals and lost frames are not told by events
  usePolling(reading.refresh, TOTALS_EVERY_MS, () => isLive(domain().state) && app.status.phase === 'open', 'later')

  const history = computed(() => kept.value.samples.value)
  /** What flows now through each card, bytes a second; nothing where no machine runs. */
  const rates = computed(() => {
    const last = isLive(domain().state) ? history.value.at(-1) : undefined
    return (reading.value.value?.nics ?? []).map((nic) => last?.nics[nic.index] ?? nic)
  })

  async function change(what: string, done: string, work: () => Promise<NetworkView>): Promise<boolean> {
    const view = await notices.attempt(what, work)
    if (view) reading.put(view)
    if (view && done) notices.say(done)
    return view !== undefined
  }

  const connect = (nic: number, connection: Connection, done: string) =>
    change(`Network card ${nic + 1}`, done, () => app.call('network.connect', { id: id(), nic, ...connection }))

  /** Throws why the port of the host cannot be opened. */
  async function addForward(forward: ForwardWish): Promise<void> {
    reading.put(await app.call('network.addForward', { id: id(), forward }))
    notices.say('Port forward added')
  }

  async function removeForward({ key, protocol, hostAddress, hostPort, guestPort }: NetworkView['forwards'][number]) {
    const forward = { protocol, hostAddress, hostPort, guestPort }
    const owner = id()
    const removed = await change('Removing the port forward', '', () =>
      app.call('network.removeForward', { id: owner, key }),
    )
    if (!removed) return
    const again = () =>
      change('Opening the port again', 'Port forward added', () =>
        app.call('network.addForward', { id: owner, forward }),
      )
    notices.tell(`The forward of port ${hostPort} was removed.`, [{ label: 'Undo', run: () => void again() }])
  }

  return {
    view: reading.value,
    failure: reading.failure,
    refresh: reading.refresh,
    history,
    rates,
    connect,
    addForward,
    removeForward,
  }
}
