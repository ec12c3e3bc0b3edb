import { expect, test } from 'vitest'
import { FlowTable, type Flow } from '../../vmm/net/flow-table'
import { below, pick, type Random } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

function flowOf(protocol: number, peer: number, guestPort: number, peerPort: number): Flow {
  return {
    direction: 'out',
    protocol,
    peer,
    guestPort,
    peerPort,
    names: [],
    allowed: true,
    rule: '',
    index: 0,
    upShaper: null,
    downShaper: null,
    upBytes: 0,
    downBytes: 0,
    startedAt: 0,
    lastAt: 0,
    answered: false,
    closing: false,
  }
}

const keyOf = ({ protocol, peer, guestPort, peerPort }: Flow) => `${protocol}/${peer}/${guestPort}/${peerPort}`

/** One of few thousand, so that a flow is often met again. */
function randomFlow(random: Random): Flow {
  const peer = pick(random, [0, 1, 0x0a56_0001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff])
  return flowOf(pick(random, [0, 1, 6, 17, 255]), peer, pick(random, [0, 1, 65_535]), below(random, 40))
}

test('it holds what a map would, whatever comes and goes', () => {
  const { random, seed } = seededRandom()
  const table = new FlowTable(seed)
  const reference = new Map<string, Flow>()
  for (let step = 0; step < 200_000; step++) {
    const flow = randomFlow(random)
    const key = keyOf(flow)
    const known = reference.get(key) ?? null
    expect(table.find(flow.protocol, flow.peer, flow.guestPort, flow.peerPort)).toBe(known)
    // grows, and is emptied again and again
    const isGrowing = step % 20_000 < 10_000
    if (known === null && (isGrowing || random() < 0.3)) {
      table.add(flow)
      reference.set(key, flow)
    } else if (known && (!isGrowing || random() < 0.3)) {
      table.remove(known)
      reference.delete(key)
    }
    if (table.size !== reference.size) throw new Error(`${table.size} flows instead of ${reference.size}`)
  }
  expect(new Set(table)).toEqual(new Set(reference.values()))
})

test('flows may be removed while it is gone through, and removing one that is not there changes nothing', () => {
  const table = new FlowTable(7)
  const flows = Array.from({ length: 1000 }, (_, port) => flowOf(6, 1, port, 80))
  for (const flow of flows) table.add(flow)
  for (const flow of table) if (flow.guestPort % 2 === 0) table.remove(flow)
  table.remove(flowOf(6, 1, 1, 80))

  expect(table.size).toBe(500)
  expect([...table].every(({ guestPort }) => guestPort % 2 === 1)).toBe(true)
})

test('what was looked up last is found no more once it was removed', () => {
  const table = new FlowTable(7)
  const flow = flowOf(6, 1, 2, 3)
  table.add(flow)
  expect(table.find(6, 1, 2, 3)).toBe(flow)
  table.remove(flow)
  expect(table.find(6, 1, 2, 3)).toBe(null)
})
