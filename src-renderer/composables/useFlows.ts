import { computed, ref, shallowRef } from 'vue'
import type { DomainView, FlowView } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { isLive } from '../state-words'
import { usePolling } from './useVisible'

const EVERY_MS = 1000
/** How much of a flow's rate is forgotten with each reading. */
const FORGOTTEN = 0.5

export interface ActiveFlow extends FlowView {
  key: string
  /** Bytes a second, both ways, smoothed over a few readings. */
  perSecond: number
}

const keyOf = (flow: FlowView): string =>
  [flow.nic, flow.direction, flow.protocol, flow.peer, flow.port, flow.guestPort, flow.startedAt].join(' ')

/** The flows of a reading with their rates, the busiest first; `before` is the last reading, `seconds` ago. */
export function arrangeFlows(flows: readonly FlowView[], before: readonly ActiveFlow[], seconds: number): ActiveFlow[] {
  const known = new Map(before.map((flow) => [flow.key, flow]))
  const active = flows.map((flow): ActiveFlow => {
    const key = keyOf(flow)
    const last = known.get(key)
    const moved = last ? Math.max(0, flow.upBytes + flow.downBytes - last.upBytes - last.downBytes) : 0
    const now = seconds > 0 ? moved / seconds : 0
    const smooth = (last?.perSecond ?? 0) * (1 - FORGOTTEN) + now * FORGOTTEN
    return { ...flow, key, perSecond: smooth < 1 ? 0 : smooth }
  })
  return active.sort((a, b) => b.perSecond - a.perSecond || b.lastAt - a.lastAt || a.key.localeCompare(b.key))
}

/** Whether all words of `query` are somewhere in what is shown of a flow. */
export function flowMatches(flow: FlowView, query: string): boolean {
  const text = [flow.direction, flow.protocol, flow.peer, flow.peerName, flow.port, flow.rule, flow.action].join(' ')
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.toLowerCase().includes(word))
}

/** The flows of a running domain, asked for once a second while they can be seen. */
export function useFlows(domain: () => DomainView) {
  const app = useApp()
  const all = shallowRef<ActiveFlow[]>([])
  const query = ref('')
  let lastRead = 0

  async function read(): Promise<void> {
    const flows = await app.call('network.flows', { id: domain().id })
    const now = performance.now()
    all.value = arrangeFlows(flows, all.value, lastRead === 0 ? 0 : (now - lastRead) / 1000)
    lastRead = now
  }
  usePolling(read, EVERY_MS, () => isLive(domain().state) && app.status.phase === 'open')

  const shown = computed(() => all.value.filter((flow) => flowMatches(flow, query.value.trim())))
  return { all, shown, query }
}
