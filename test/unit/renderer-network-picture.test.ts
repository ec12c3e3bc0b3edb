import { describe, expect, it } from 'vitest'
import type { SegmentView } from '../../src-main/contract'
import { nicChart } from '../../src-renderer/composables/network-charts'
import { cableWidth, layTopology, topologyWords } from '../../src-renderer/composables/topology'
import { bitRate } from '../../src-renderer/format'
import { peerNote, ruleSummary } from '../../src-renderer/network-words'

describe('the picture of the networks', () => {
  const port = (domainName: string, nic: number, fields = {}) => ({
    domainId: domainName,
    domainName,
    nic,
    mac: '',
    address: `10.86.0.${nic}`,
    plugged: true,
    linked: true,
    leasedAt: null,
    upPerSecond: 0,
    downPerSecond: 0,
    ...fields,
  })
  const segments: SegmentView[] = [
    { name: 'lab', subnet: '10.87.0.0/24', gateway: '10.87.0.1', ports: [port('both', 1), port('inner', 0)] },
    {
      name: '',
      subnet: '10.86.0.0/16',
      gateway: '10.86.0.1',
      ports: [port('both', 0), port('outer', 0, { plugged: false })],
    },
  ]

  it('draws each domain once, with a cable for each card to its own network', () => {
    const { boxes, bars } = layTopology(segments, [])
    expect(boxes.map(({ name }) => name)).toEqual(['outer', 'both', 'inner'])
    expect(boxes.find(({ name }) => name === 'both')?.cables.map(({ segment }) => segment)).toEqual(['', 'lab'])
    for (const { cables } of boxes)
      for (const { segment, to, y } of cables) {
        const bar = bars.find((each) => each.segment === segment)!
        expect(to).toBe(bar.x)
        expect(y).toBeGreaterThan(bar.top)
        expect(y).toBeLessThan(bar.bottom)
      }
  })

  it('has room for all, and nothing on top of another', () => {
    const many: SegmentView[] = [
      { ...segments[1]!, ports: Array.from({ length: 40 }, (_, n) => port(`d${n}`, 0)) },
      { ...segments[0]!, ports: Array.from({ length: 8 }, (_, n) => port('d1', n)) },
    ]
    const { boxes, height, width } = layTopology(many, [])
    const tops = boxes.map(({ y }) => y).sort((a, b) => a - b)
    expect(tops.every((y, at) => at === 0 || y - tops[at - 1]! >= 46)).toBe(true)
    expect(height).toBeGreaterThan(tops.at(-1)! + 46)
    expect(width).toBeGreaterThan(boxes[0]!.x + 208)
    expect(new Set(boxes.find(({ id }) => id === 'd1')!.cables.map(({ y, segment }) => `${segment}${y}`)).size).toBe(9)
  })

  it('draws mirrors between domains that are there', () => {
    const name = (domainId: string) => ({ domainId, domainName: domainId, nic: 0 })
    const mirror = { stage: 'before' as const, direction: 'both' as const, active: true, frames: 0, dropped: 0 }
    const arcs = layTopology(segments, [
      { id: 'm', source: name('outer'), target: name('inner'), ...mirror },
      { id: 'n', source: name('outer'), target: name('gone'), ...mirror },
    ]).arcs
    expect(arcs.map(({ id }) => id)).toEqual(['m'])
  })

  it('is told in words, too', () => {
    expect(topologyWords(segments)).toBe('lab: both, inner. Gateway network: both, outer (unplugged).')
    expect(cableWidth(0)).toBe(1.5)
    expect(cableWidth(1e6)).toBeGreaterThan(cableWidth(1e4))
    expect(cableWidth(1e15)).toBe(6)
  })
})

describe('words', () => {
  it('of rates, rules and peers', () => {
    expect([bitRate(0), bitRate(1500), bitRate(1e7), bitRate(2.5e9)]).toEqual([
      '0 bit/s',
      '1.5 kbit/s',
      '10 Mbit/s',
      '2.5 Gbit/s',
    ])
    const rule = { name: 'r', action: 'allow' as const, direction: 'both' as const, protocol: 'tcp' as const }
    const rest = { peers: ['a.org', 'b.org'], ports: ['80'], upBits: 0, downBits: 2e7, burstBytes: 0 }
    expect(ruleSummary({ ...rule, ...rest })).toBe('out and in · TCP · a.org +1 · 80 · down 20 Mbit/s')
    expect([peerNote('any'), peerNote('*.a.org'), peerNote('10.0.0.0/8'), peerNote('!')]).toEqual([
      'Everybody but this host itself',
      'Every name below a.org',
      'A block of addresses',
      '',
    ])
  })

  it('of a chart, with a gap where a card was not measured', () => {
    const samples = [
      { at: 1, nics: [{ upPerSecond: 1, downPerSecond: 2 }] },
      { at: 2, nics: [] },
    ]
    expect(nicChart(samples, 0).series.map(({ values }) => values)).toEqual([
      [16, null],
      [8, null],
    ])
    expect(nicChart([], 3).series[0]?.values).toEqual([])
  })
})
