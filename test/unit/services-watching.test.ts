import { describe, expect, onTestFinished, test } from 'vitest'
import { kindOf } from '../support/outcome'
import { cardOf } from '../support/scripted-card'
import { openScripted, runningDomain, scriptedDomain } from '../support/scripted-vivarium'
import { deleteForGood, type Call } from '../support/vivarium'

describe('mirrors and captures', () => {
  test('a mirror goes with either of its domains', async () => {
    const { call } = await openScripted()
    const [one, two, three] = [
      await scriptedDomain(call, 'One'),
      await scriptedDomain(call, 'Two'),
      await scriptedDomain(call, 'Three'),
    ]
    const card = (id: string, nic = 0) => ({ id, nic })
    await call('mirrors.add', { source: card(one), target: card(two) })
    await call('mirrors.add', { source: card(two), target: card(three) })
    expect(await kindOf(call('mirrors.add', { source: card(one), target: card(one) }))).toBe('invalid')
    expect(await kindOf(call('mirrors.add', { source: card(one), target: card(two) }))).toBe('conflict')
    expect(await kindOf(call('mirrors.add', { source: card(one, 3), target: card(two) }))).toBe('not-found')
    await deleteForGood(call, three)
    expect((await call('networks.get', {})).mirrors.map(({ target }) => target.domainName)).toEqual(['Two'])
    await deleteForGood(call, one)
    expect((await call('networks.get', {})).mirrors).toEqual([])
  })

  test('a capture outlives its domain, and is read in bounded parts', async () => {
    const vivarium = await openScripted()
    const { call } = vivarium
    const id = await runningDomain(call)
    const card = await cardOf(vivarium, id)
    onTestFinished(() => card.nic.close())
    const { id: captureId } = await call('captures.start', { source: { id, nic: 0 } })
    for (let round = 0; round < 4; round++) {
      card.nic.send(...Array.from({ length: 500 }, () => card.udp(card.gateway, 9, Buffer.alloc(1400, 7))[0]!))
      await card.isSettled()
    }
    card.take()
    const { files, running, frames } = await call('captures.stop', { captureId })
    expect([running, frames >= 2000]).toEqual([false, true])
    await call('domains.forceOff', { id })
    await deleteForGood(call, id)

    const file = files[0]!.name
    const read = (offset: number) => call('captures.read', { captureId, file, offset })
    const first = await read(0)
    expect([first.bytes.length, first.size]).toEqual([1024 * 1024, files[0]!.bytes])
    let offset = first.bytes.length
    for (let part = first; part.bytes.length > 0; offset += part.bytes.length) part = await read(offset)
    expect(offset).toBe(first.size)
    expect((await read(2 ** 50)).bytes.length).toBe(0)
    for (const name of ['../vivarium.db', 'x.pcapng', '..%2f.pcapng', '.pcapng']) {
      expect(await kindOf(call('captures.read', { captureId, file: name, offset: 0 }))).not.toBe('done')
    }
    await call('captures.remove', { captureId })
    expect(await kindOf(read(0))).toBe('not-found')
    expect((await call('networks.get', {})).captures).toEqual([])
  })
})

/** What is in the log. */
const eventsOf = async (call: Call) => (await call('log.read', {})).map(({ event }) => event)

test('a worker of the network that fails is replaced, and everybody is told', async () => {
  const vivarium = await openScripted()
  const { call, threads } = vivarium
  const id = await runningDomain(call)
  const card = await cardOf(vivarium, id)
  onTestFinished(() => card.nic.close())
  const capture = await call('captures.start', { source: { segment: '' } })
  card.nic.send(...card.udp(card.gateway, 9))
  await expect.poll(() => call('network.denials', { id })).toHaveLength(1)
  await threads[0]!.terminate()

  await expect.poll(() => eventsOf(call)).toContain('network.restarted')
  expect(await call('networks.get', {})).toMatchObject({
    restarts: 1,
    trouble: 'it ended by itself',
    captures: [{ id: capture.id, running: false, reason: expect.stringContaining('failed') }],
  })
  while (card.nic.dialled < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  card.nic.send(...card.udp(card.gateway, 10))
  await expect.poll(() => call('network.denials', { id })).toMatchObject([{ port: 9 }, { port: 10 }])
  const [before, after] = await call('network.denials', { id })
  expect(after!.seq).toBeGreaterThan(before!.seq)
})
