// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import type { ContractEvent, DenialView, NetworkView, PacketView } from '../../src-main/contract'
import { useDenials } from '../../src-renderer/composables/useDenials'
import { useNetwork } from '../../src-renderer/composables/useNetwork'
import { usePackets } from '../../src-renderer/composables/usePackets'
import type { ConnectionListener } from '../../src-renderer/connection'
import { useApp } from '../../src-renderer/stores/app'
import { useCaptures } from '../../src-renderer/stores/captures'
import { KEPT_DENIALS, mergeDenials, useNetworkEvents } from '../../src-renderer/stores/network'
import { useNotices } from '../../src-renderer/stores/notices'
import { scriptedConnection } from '../support/scripted-connection'
import { domainView } from '../support/views'

const denial = (fields: Partial<DenialView>): DenialView => ({
  seq: 1,
  at: 1000,
  domainId: 'd',
  nic: 0,
  direction: 'out',
  protocol: 'tcp',
  peer: '192.0.2.1',
  peerName: '',
  port: 443,
  rule: 'default deny',
  index: -1,
  reason: 'No rule allows it.',
  count: 1,
  ...fields,
})

const NIC: NetworkView['nics'][number] = {
  index: 0,
  mac: '52:54:00:00:00:01',
  model: 'virtio',
  mode: 'gateway',
  segment: '',
  plugged: true,
  address: '10.86.0.2',
  linked: true,
  leased: true,
  upBytes: 0,
  downBytes: 0,
  upPerSecond: 1,
  downPerSecond: 2,
  dropped: 0,
  spoofed: 0,
}
const FORWARD = { protocol: 'tcp' as const, hostAddress: '127.0.0.1', hostPort: 8080, guestPort: 80 }

let scope: EffectScope
let listener: ConnectionListener
const calls: [name: string, args: Record<string, unknown>][] = []
let network: NetworkView
let answers: Record<string, (args: Record<string, unknown>) => unknown>

const settle = () => new Promise((done) => setTimeout(done))
const tell = (event: ContractEvent): void => listener.onEvent(event)
const told = (name: string): Record<string, unknown>[] =>
  calls.filter(([called]) => called === name).map(([, args]) => args)

beforeEach(async () => {
  setActivePinia(createPinia())
  scope = effectScope()
  calls.length = 0
  network = { id: 'd', nics: [NIC], forwards: [], template: 'offline', ruleCount: 0 }
  answers = {
    'events.subscribe': () => ({}),
    'app.info': () => ({ engines: [] }),
    'domains.list': () => [domainView({ id: 'd', state: 'running' })],
    'network.get': () => network,
    'network.load': () => [],
    'network.denials': () => [denial({ seq: 1 })],
    'network.removeForward': () => ({ ...network, forwards: [] }),
    'network.addForward': () => network,
  }
  useNetworkEvents()
  const noted = new Proxy(answers, {
    get: (all, name: string) => {
      const answer = all[name]
      return (
        answer &&
        ((args: Record<string, unknown>) => {
          calls.push([name, args])
          return answer(args)
        })
      )
    },
  })
  useApp().connect((given) => {
    listener = given
    return scriptedConnection(noted)(given)
  })
  await settle()
})
afterEach(() => {
  scope.stop()
  vi.restoreAllMocks()
})

describe('what a domain’s network tells', () => {
  it('is read once, then followed by events', async () => {
    const { view, rates, history } = scope.run(() => useNetwork(() => domainView({ id: 'd', state: 'running' })))!
    await settle()
    expect(view.value?.nics[0]?.address).toBe('10.86.0.2')
    expect(rates.value).toMatchObject([{ upPerSecond: 1 }])

    const sample = { at: 5, nics: [{ upPerSecond: 500, downPerSecond: 7 }] }
    tell({ topic: 'network', payload: { id: 'd', sample, denials: [], changed: false } })
    expect(history.value).toEqual([sample])
    expect(rates.value).toMatchObject([{ upPerSecond: 500 }])
    expect(told('network.get')).toHaveLength(1)

    network = { ...network, ruleCount: 3 }
    tell({ topic: 'network', payload: { id: '', sample: null, denials: [], changed: true } })
    await settle()
    expect(view.value?.ruleCount).toBe(3)
  })

  it('is nothing at all when no machine runs', async () => {
    const state = ref<'running' | 'off'>('running')
    const { rates } = scope.run(() => useNetwork(() => domainView({ id: 'd', state: state.value })))!
    await settle()
    const sample = { at: 5, nics: [{ upPerSecond: 500, downPerSecond: 7 }] }
    tell({ topic: 'network', payload: { id: 'd', sample, denials: [], changed: false } })
    network = { ...network, nics: [{ ...NIC, upPerSecond: 0, downPerSecond: 0 }] }
    state.value = 'off'
    await settle()
    expect(rates.value).toMatchObject([{ upPerSecond: 0 }])
  })

  it('is not asked for while the page is hidden, and made up for afterwards', async () => {
    const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(false)
    scope.run(() => useNetwork(() => domainView({ id: 'd' })))
    await settle()
    hidden.mockReturnValue(true)
    document.dispatchEvent(new Event('visibilitychange'))
    for (let times = 0; times < 3; times++) {
      tell({ topic: 'network', payload: { id: 'd', sample: null, denials: [], changed: true } })
      await settle()
    }
    expect(told('network.get')).toHaveLength(1)
    hidden.mockReturnValue(false)
    document.dispatchEvent(new Event('visibilitychange'))
    await settle()
    expect(told('network.get')).toHaveLength(2)
  })

  it('keeps the answer of a change when an older question is answered after it', async () => {
    let answerLate: (view: NetworkView) => void = () => {}
    answers['network.get'] = () => new Promise((answer) => (answerLate = answer))
    const { view, addForward } = scope.run(() => useNetwork(() => domainView({ id: 'd' })))!
    await settle()
    answers['network.addForward'] = () => ({ ...network, ruleCount: 9 })
    await addForward(FORWARD)
    answerLate(network)
    await settle()
    expect(view.value?.ruleCount).toBe(9)
  })

  it('brings a removed forward back when that is wanted', async () => {
    const forward = { ...FORWARD, key: 'tcp/127.0.0.1:8080', state: 'listening' as const, reason: '' }
    const { removeForward } = scope.run(() => useNetwork(() => domainView({ id: 'd' })))!
    await removeForward(forward)
    expect(told('network.removeForward')).toEqual([{ id: 'd', key: forward.key }])
    useNotices().list.at(-1)?.actions[0]?.run()
    await settle()
    expect(told('network.addForward')).toEqual([{ id: 'd', forward: FORWARD }])
  })
})

describe('denials', () => {
  it('come newest first, and one that happened again takes its new place', () => {
    const known = [denial({ seq: 2, at: 200 }), denial({ seq: 1, at: 100 })]
    const merged = mergeDenials(known, [denial({ seq: 1, at: 300, count: 2 })])
    expect(merged.map(({ seq, count }) => [seq, count])).toEqual([
      [1, 2],
      [2, 1],
    ])
    const flood = Array.from({ length: 500 }, (_, seq) => denial({ seq, at: seq }))
    expect(mergeDenials(known, flood)).toHaveLength(KEPT_DENIALS)
    expect(mergeDenials([], flood)[0]?.seq).toBe(499)
  })

  it('are read, and told as they happen', async () => {
    const list = scope.run(() => useDenials(() => 'd'))!
    await settle()
    tell({
      topic: 'network',
      payload: { id: 'd', sample: null, denials: [denial({ seq: 2, at: 2000 })], changed: false },
    })
    expect(list.value.map(({ key }) => key)).toEqual(['network 2', 'network 1'])
    tell({ topic: 'network', payload: { id: 'other', sample: null, denials: [denial({ seq: 3 })], changed: false } })
    expect(list.value).toHaveLength(2)
  })
})

describe('captures', () => {
  const packet = (number: number): PacketView => ({
    number,
    at: number,
    length: 60,
    source: 'a',
    destination: 'b',
    protocol: 'TCP',
    info: '',
  })

  it('list their packets after the last one, and count those that came too fast', async () => {
    vi.useFakeTimers()
    const batches = [[packet(1), packet(2)], [packet(6)], []]
    answers['captures.packets'] = () => batches.shift() ?? []
    const running = ref(true)
    const { packets, missed } = scope.run(() =>
      usePackets(
        () => 'c',
        () => running.value,
      ),
    )!
    await vi.advanceTimersByTimeAsync(1000)
    expect(packets.value.map(({ number }) => number)).toEqual([1, 2, 6])
    expect(missed.value).toBe(3)
    expect(told('captures.packets').map(({ after }) => after)).toEqual(expect.arrayContaining([0, 2, 6]))

    running.value = false
    await vi.advanceTimersByTimeAsync(1000)
    const asked = told('captures.packets').length
    await vi.advanceTimersByTimeAsync(5000)
    expect(told('captures.packets')).toHaveLength(asked)
    vi.useRealTimers()
  })

  it('hand their files over whole, part by part', async () => {
    const content = Uint8Array.from({ length: 10 }, (_, at) => at)
    answers['captures.read'] = ({ offset }) => {
      const from = offset as number
      return { bytes: content.subarray(from, from + 4), size: content.length }
    }
    const file = await useCaptures().read('c', 'one.pcapng')
    expect([...new Uint8Array(await file.arrayBuffer())]).toEqual([...content])
    expect(told('captures.read').map(({ offset }) => offset)).toEqual([0, 4, 8])
  })
})
