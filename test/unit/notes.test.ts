import { expect, test } from 'vitest'
import { Notes, type NoteFacts } from '../../vmm/net/notes'
import { SimulatedClock } from '../support/simulated-clock'

const FACTS: NoteFacts = {
  action: 'deny',
  domainId: 'one',
  nic: 0,
  direction: 'out',
  protocol: 6,
  peer: 1,
  peerName: '',
  port: 80,
  rule: 'default deny',
  index: -1,
  reason: 'No rule allows it.',
}

function trial() {
  const clock = new SimulatedClock()
  return { clock, notes: new Notes(clock, () => 1000 + clock.now()) }
}

test('the same within five seconds is one note that counts, and is told again when it happens again', () => {
  const { clock, notes } = trial()
  for (let count = 0; count < 1000; count++) notes.add(FACTS)
  expect(notes.take().notes).toEqual([{ ...FACTS, seq: 1, at: 1000, count: 1000 }])
  expect(notes.take().notes).toEqual([])

  clock.advance(4000)
  notes.add(FACTS)
  expect(notes.take().notes).toMatchObject([{ seq: 1, at: 5000, count: 1001 }])
  clock.advance(2000)
  expect(notes.take().notes).toEqual([])
  notes.add(FACTS)
  expect(notes.take().notes).toMatchObject([{ seq: 2, count: 1 }])
})

test('whatever tells two things apart makes two notes, with numbers that rise', () => {
  const { notes } = trial()
  const others = [{ port: 81 }, { peer: 2 }, { nic: 1 }, { domainId: 'two' }, { protocol: 17 }, { rule: 'Mine' }, {}]
  for (const other of others) notes.add({ ...FACTS, ...other })
  notes.add({ ...FACTS, action: 'log' })
  notes.add({ ...FACTS, direction: 'in' })
  notes.add({ ...FACTS, peerName: 'example.org' })

  expect(notes.take().notes.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

test('of one domain at most 200 are kept in five seconds; the others are counted, and other domains told', () => {
  const { clock, notes } = trial()
  for (let port = 0; port < 65_536; port++) notes.add({ ...FACTS, port })
  notes.add({ ...FACTS, domainId: 'two' })

  const { notes: told, untold } = notes.take()
  expect(told.length).toBe(201)
  expect(told.at(-1)).toMatchObject({ domainId: 'two' })
  expect(untold).toEqual([['one', 65_536 - 200]])
  expect(notes.take()).toEqual({ notes: [], untold: [] })

  clock.advance(5000)
  notes.take()
  notes.add({ ...FACTS, port: 7 })
  expect(notes.take()).toMatchObject({ notes: [{ port: 7 }], untold: [] })
})

test('a domain that is gone is told of no more', () => {
  const { notes } = trial()
  for (let port = 0; port < 300; port++) notes.add({ ...FACTS, port })
  notes.forget('one')

  expect(notes.take()).toEqual({ notes: [], untold: [] })
  notes.add(FACTS)
  expect(notes.take().notes).toMatchObject([{ seq: 201, count: 1 }])
})
