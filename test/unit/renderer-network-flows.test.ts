// @vitest-environment happy-dom
import { describe, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref } from 'vue'
import type { FlowView } from '../../src-main/contract'
import { arrangeFlows, flowMatches } from '../../src-renderer/composables/useFlows'
import { usePolling } from '../../src-renderer/composables/useVisible'

const flow = (fields: Partial<FlowView>): FlowView => ({
  nic: 0,
  direction: 'out',
  protocol: 'tcp',
  peer: '192.0.2.1',
  peerName: '',
  port: 443,
  guestPort: 40_000,
  action: 'allow',
  rule: 'Web',
  upBytes: 0,
  downBytes: 0,
  startedAt: 0,
  lastAt: 0,
  ...fields,
})

describe('connections', () => {
  it('are sorted by what they move now, then by when they last did', () => {
    const first = [flow({ port: 1, lastAt: 10 }), flow({ port: 2, lastAt: 30 }), flow({ port: 3, lastAt: 20 })]
    const before = arrangeFlows(first, [], 0)
    expect(before.map(({ port }) => port)).toEqual([2, 3, 1])
    const busy = arrangeFlows([{ ...first[0]!, downBytes: 4000 }, first[1]!, first[2]!], before, 2)
    expect(busy.map(({ port, perSecond }) => [port, perSecond])).toEqual([
      [1, 1000],
      [2, 0],
      [3, 0],
    ])
    // what began anew under the same addresses has not moved what its forerunner did
    expect(arrangeFlows([{ ...first[0]!, startedAt: 5, downBytes: 9000 }], busy, 1)[0]?.perSecond).toBe(0)
  })

  it('are found by all that is shown of them', () => {
    const one = flow({ peerName: 'deb.debian.org', rule: 'Debian mirrors', port: 443 })
    expect(['debian 443', 'MIRRORS tcp', '192.0.2', ''].map((query) => flowMatches(one, query))).toEqual(
      Array(4).fill(true),
    )
    expect(flowMatches(one, 'debian udp')).toBe(false)
  })
})

describe('polling', () => {
  it('waits for its answer, and rests while it is not wanted', async () => {
    vi.useFakeTimers()
    const wanted = ref(true)
    let rounds = 0
    let done: () => void = () => {}
    const scope = effectScope()
    scope.run(() =>
      usePolling(
        () => new Promise<void>((answer) => ((rounds += 1), (done = answer))),
        1000,
        () => wanted.value,
      ),
    )
    await vi.advanceTimersByTimeAsync(5000)
    expect(rounds).toBe(1)
    done()
    await vi.advanceTimersByTimeAsync(1000)
    expect(rounds).toBe(2)
    wanted.value = false
    await nextTick()
    done()
    await vi.advanceTimersByTimeAsync(5000)
    expect(rounds).toBe(2)
    scope.stop()
    vi.useRealTimers()
  })
})
