import { computed } from 'vue'
import type { NetworksView, SegmentPortView } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useNetworkEvents } from '../stores/network'
import { useNotices } from '../stores/notices'
import { useReading } from './useReading'
import { usePolling } from './useVisible'

const COUNTERS_EVERY_MS = 1000

/** Everything on the host's virtual networks, with what flows now, and what can be done to mirrors. */
export function useNetworks() {
  const app = useApp()
  const dialogs = useDialogs()
  const events = useNetworkEvents()
  const notices = useNotices()
  const reading = useReading<NetworksView>(
    () => app.call('networks.get', {}),
    () => events.changes,
  )

  // what they count is not told by events
  usePolling(
    reading.refresh,
    COUNTERS_EVERY_MS,
    () => {
      const { captures = [], mirrors = [] } = reading.value.value ?? {}
      return app.status.phase === 'open' && (mirrors.length > 0 || captures.some(({ running }) => running))
    },
    'later',
  )

  /** The port with the rates of the last second; those of `networks.get` are as old as its answer. */
  function live(port: SegmentPortView): SegmentPortView {
    const now = events.of(port.domainId).samples.value.at(-1)?.nics[port.nic]
    return port.linked && now ? { ...port, ...now } : port
  }
  const segments = computed(() =>
    (reading.value.value?.segments ?? []).map((segment) => ({ ...segment, ports: segment.ports.map(live) })),
  )
  /** Names of the isolated segments that there are. */
  const segmentNames = computed(() => segments.value.map(({ name }) => name).filter(Boolean))

  const gateways = computed(() => segments.value.map(({ gateway }) => gateway))

  async function removeMirror({
    id,
    source,
    target,
    stage,
    direction,
  }: NetworksView['mirrors'][number]): Promise<void> {
    if (!(await notices.attempt('Removing the mirror', () => app.call('mirrors.remove', { mirrorId: id })))) return
    const port = ({ domainId, nic }: typeof source) => ({ id: domainId, nic })
    const mirror = { source: port(source), target: port(target), stage, direction }
    const undo = () => void notices.attempt('Bringing the mirror back', () => app.call('mirrors.add', mirror))
    notices.tell(`The mirror of ${source.domainName} was removed.`, [{ label: 'Undo', run: undo }])
    await reading.refresh()
  }

  async function removeCapture({ id, name, bytes }: NetworksView['captures'][number]): Promise<void> {
    const yes = await dialogs.ask({
      title: `Remove the capture ${name}?`,
      text: bytes > 0 ? 'Its files are deleted. What was downloaded stays where it is.' : 'It holds no packets.',
      action: 'Remove',
    })
    if (!yes) return
    await notices.attempt('Removing the capture', () => app.call('captures.remove', { captureId: id }))
    await reading.refresh()
  }

  return {
    view: reading.value,
    failure: reading.failure,
    refresh: reading.refresh,
    segments,
    segmentNames,
    gateways,
    removeMirror,
    removeCapture,
  }
}
