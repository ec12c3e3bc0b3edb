import { ref, shallowRef, watch } from 'vue'
import type { PacketView } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { usePolling } from './useVisible'

/** Packets kept in the list; the files have them all. */
export const KEPT_PACKETS = 2000
const WAIT_MS = 10_000
/** Pause between two readings, so that a flood is shown a few times a second and not more often. */
const PAUSE_MS = 200

/** The newest packets of a capture, followed while they can be seen and it runs. */
export function usePackets(captureId: () => string, running: () => boolean) {
  const app = useApp()
  const packets = shallowRef<PacketView[]>([])
  /** Packets that came too fast to be listed. */
  const missed = ref(0)
  /** Whether all of a capture that has ended was read. */
  const complete = ref(false)

  watch(captureId, () => {
    packets.value = []
    missed.value = 0
    complete.value = false
  })

  async function read(): Promise<void> {
    const id = captureId()
    const after = packets.value.at(-1)?.number ?? 0
    const ended = !running()
    const news = await app.call('captures.packets', { captureId: id, after, waitMs: ended ? 0 : WAIT_MS })
    if (id !== captureId()) return
    const first = news[0]
    if (first && after > 0) missed.value += Math.max(0, first.number - after - 1)
    if (first) packets.value = [...packets.value, ...news].slice(-KEPT_PACKETS)
    complete.value = ended
  }
  usePolling(read, PAUSE_MS, () => app.status.phase === 'open' && (running() || !complete.value))

  return { packets, missed }
}
