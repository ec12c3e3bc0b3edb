import { createServer, type AddressInfo, type Server } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { AddressBook } from '../../src-main/services/addresses'
import type { LeaseRecord, Storage } from '../../storage'
import { parseAddress } from '../../vmm/model/ipv4'
import { frameWords } from '../support/frame-words'
import { kindOf } from '../support/outcome'
import { cardOf } from '../support/scripted-card'
import { openScripted, runningDomain, scriptedDomain } from '../support/scripted-vivarium'
import { deleteForGood, finish, type Call } from '../support/vivarium'

const OUTSIDE = parseAddress('203.0.113.7')!

async function taken(): Promise<{ port: number; server: Server }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { port: (server.address() as AddressInfo).port, server }
}

const tcp = (hostPort: number) => ({ protocol: 'tcp' as const, hostPort, guestPort: 80 })
const address = async (call: Call, id: string) => (await call('network.get', { id })).nics[0]?.address
const events = async (call: Call, id?: string) =>
  (await call('log.read', id === undefined ? {} : { domainId: id })).map(({ event }) => event)
const segments = async (call: Call) => (await call('networks.get', {})).segments.map(({ name }) => name)

describe('addresses', () => {
  test('are one for each card, kept over moves and ends of Vivarium, and free again with their domain', async () => {
    const vivarium = await openScripted()
    const { call } = vivarium
    const [one, two] = [await scriptedDomain(call, 'One'), await scriptedDomain(call, 'Two')]
    expect([await address(call, one), await address(call, two)]).toEqual(['10.86.0.15', '10.86.0.16'])
    await call('network.connect', { id: one, nic: 0, mode: 'segment', segment: 'lab' })
    expect(await address(call, one)).toBe('10.87.0.15')
    await call('network.connect', { id: one, nic: 0, mode: 'gateway' })
    expect(await address(call, one)).toBe('10.86.0.15')

    await vivarium.close()
    const again = await openScripted({}, vivarium.folder)
    expect([await address(again.call, two), await address(again.call, one)]).toEqual(['10.86.0.16', '10.86.0.15'])
    await deleteForGood(again.call, one)
    const three = await scriptedDomain(again.call, 'Three')
    expect(await address(again.call, three)).toBe('10.86.0.15')
  })

  test('of a segment come to an end, which is told; so do segments', async () => {
    const book = new AddressBook(emptyStorage())
    const given = new Set<number>()
    for (let number = 0; number < 240; number++) given.add(await book.addressOf(`d${number}`, 0, 'lab'))
    expect(given.size).toBe(240)
    await expect(book.addressOf('more', 0, 'lab')).rejects.toMatchObject({
      kind: 'unsupported',
      hint: expect.stringContaining('another segment'),
    })
    book.forget('d7')
    expect(given.has(await book.addressOf('more', 0, 'lab'))).toBe(true)

    for (let number = 1; number < 255; number++) await book.subnetOf(`s${number}`)
    await expect(book.subnetOf('more')).rejects.toMatchObject({ kind: 'unsupported' })
  })

  test('asked for at once are not the same', async () => {
    const book = new AddressBook(emptyStorage())
    const asked = Array.from({ length: 50 }, (_, number) => book.addressOf(`d${number}`, 0, `s${number % 5}`))
    expect(new Set(await Promise.all(asked)).size).toBe(50)
  })
})

describe('a segment', () => {
  test('is there as long as a card is on it, and is another when it comes again', async () => {
    const vivarium = await openScripted()
    const { call } = vivarium
    const [one, two] = [await runningDomain(call, 'One'), await scriptedDomain(call, 'Two')]
    const card = await cardOf(vivarium, one)
    await call('network.connect', { id: one, nic: 0, mode: 'segment', segment: 'lab' })
    expect(await segments(call)).toEqual(['', 'lab'])
    await call('network.connect', { id: one, nic: 0, mode: 'gateway' })
    await call('network.connect', { id: two, nic: 0, mode: 'segment', segment: 'first' })
    expect(await segments(call)).toEqual(['', 'first'])
    expect(await address(call, two)).toMatch(/^10\.87\.0\./)
    await call('network.connect', { id: one, nic: 0, mode: 'segment', segment: 'lab' })
    expect(await address(call, one)).toMatch(/^10\.87\.1\./)

    await card.nic.close()
    const moved = await cardOf(vivarium, one)
    onTestFinished(() => moved.nic.close())
    moved.nic.send(moved.arp(1, moved.gateway.address))
    expect(frameWords(await moved.nic.frame())).toMatch(/^arp 2 10\.87\.1\.1>/)
  })

  test('goes with its last domain', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)
    await call('network.connect', { id, nic: 0, mode: 'segment', segment: 'lab' })
    await deleteForGood(call, id)

    expect(await segments(call)).toEqual([''])
  })

  test('needs a name, and a card that there is', async () => {
    const { call } = await openScripted()
    const id = await scriptedDomain(call)
    expect(await kindOf(call('network.connect', { id, nic: 0, mode: 'segment' }))).toBe('invalid')
    expect(await kindOf(call('network.connect', { id, nic: 1, plugged: false }))).toBe('not-found')
    expect(await segments(call)).toEqual([''])
  })
})

test('a card is unplugged and plugged in while its guest runs', async () => {
  const vivarium = await openScripted()
  const { call } = vivarium
  const id = await runningDomain(call)
  const card = await cardOf(vivarium, id)
  onTestFinished(() => card.nic.close())
  await card.isSettled()
  const links = () =>
    vivarium.guests[0]!.received.flatMap((message) => (message.type === 'set-link' ? [message.up] : []))

  await call('network.connect', { id, nic: 0, plugged: false })
  card.nic.send(card.arp(1, card.gateway.address))
  expect(links().at(-1)).toBe(false)
  await call('network.connect', { id, nic: 0, plugged: true })
  expect(links().at(-1)).toBe(true)
  await card.isSettled()
  expect(card.take()).toEqual([])
})

describe('a port forward', () => {
  test('that cannot be opened is refused with the reason, and not kept', async () => {
    const { call } = await openScripted()
    const id = await runningDomain(call)
    const { port } = await taken()
    await expect(call('network.addForward', { id, forward: tcp(port) })).rejects.toMatchObject({ kind: 'conflict' })
    expect((await call('network.get', { id })).forwards).toEqual([])
  })

  test('of another domain is a conflict, running or not', async () => {
    const { call } = await openScripted()
    const [one, two] = [await scriptedDomain(call, 'One'), await scriptedDomain(call, 'Two')]
    await call('network.addForward', { id: one, forward: tcp(39_999) })
    await expect(call('network.addForward', { id: two, forward: tcp(39_999) })).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('One'),
    })
  })

  test('that fails when its domain starts is shown and logged, and the domain runs', async () => {
    const { call } = await openScripted()
    const { port, server } = await taken()
    const id = await scriptedDomain(call)
    expect((await call('network.addForward', { id, forward: tcp(port) })).forwards).toMatchObject([{ state: 'off' }])
    await finish(call, call('domains.start', { id }))

    await expect.poll(() => call('network.get', { id })).toMatchObject({ forwards: [{ state: 'failed' }] })
    expect((await call('network.get', { id })).forwards[0]!.reason).toContain('in use')
    expect(await events(call, id)).toContain('network.forward-failed')
    server.close()
    await call('network.removeForward', { id, key: `tcp/127.0.0.1:${port}` })
    const { forwards } = await call('network.addForward', { id, forward: tcp(port) })
    expect(forwards).toMatchObject([{ state: 'listening', reason: '' }])
    await call('domains.forceOff', { id })
    await expect.poll(async () => (await call('network.get', { id })).forwards).toMatchObject([{ state: 'off' }])
  })
})

describe('a policy', () => {
  const rules = (...peers: string[]) => ({ network: { rules: [{ name: 'R', action: 'allow' as const, peers }] } })

  test('follows the names of the domains and groups that it names', async () => {
    const { call } = await openScripted()
    const [one, two] = [await scriptedDomain(call, 'One'), await scriptedDomain(call, 'Two')]
    await call('domains.update', { id: two, patch: { group: 'lab' } })
    await call('policy.set', { id: one, policy: rules('domain:Two', 'group:lab') })
    await call('domains.update', { id: two, patch: { name: 'Second', group: 'laboratory' } })

    const { policy } = await call('policy.get', { id: one })
    expect(policy.network.rules[0]!.peers).toEqual(['domain:Second', 'group:laboratory'])
    await expect(call('policy.set', { id: one, policy: rules('domain:Two') })).rejects.toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining("'network.rules.0.peers.0'"),
    })
  })

  test('refuses; what is allowed once holds until it is forgotten or the machine ends', async () => {
    const vivarium = await openScripted()
    const { call } = vivarium
    const id = await runningDomain(call)
    const card = await cardOf(vivarium, id)
    onTestFinished(() => card.nic.close())
    const denied = async (to: number, port: number) => {
      card.nic.send(card.tcp({ mac: card.gateway.mac, address: to }, { to: port }))
      expect(frameWords(await card.nic.frame((frame) => frame[23] === 6))).toBe(`tcp ${port}>40000 RA 0 1001`)
      const seen = async () => (await call('network.denials', { id })).find((denial) => denial.port === port)
      await expect.poll(seen).toBeDefined()
      return (await seen())!.seq
    }
    const outside = await denied(OUTSIDE, 81)
    const host = await denied(card.gateway.address, 82)
    await call('network.allowOnce', { id, seq: outside })
    const { once } = await call('network.allowOnce', { id, seq: host })

    expect(once.map(({ peers, protocol, ports }) => [peers, protocol, ports])).toEqual([
      [['203.0.113.7'], 'tcp', ['81']],
      [['host'], 'tcp', ['82']],
    ])
    const asked = (target: string, port: number) => call('policy.explain', { id, target, port })
    expect(await asked('203.0.113.7', 81)).toMatchObject({ action: 'allow' })
    expect(await asked('203.0.113.7', 82)).toMatchObject({ action: 'deny' })
    expect((await call('network.forgetOnce', { id })).once).toEqual([])
    expect(await asked('203.0.113.7', 81)).toMatchObject({ action: 'deny' })
    expect(await kindOf(call('network.allowOnce', { id, seq: 999 }))).toBe('not-found')

    await call('network.allowOnce', { id, seq: outside })
    await call('domains.forceOff', { id })
    await expect.poll(async () => (await call('policy.get', { id })).once).toEqual([])
    expect(await kindOf(call('network.allowOnce', { id, seq: outside }))).not.toBe('done')
  })
})

/** As much of a storage as addresses need, with its rules. */
function emptyStorage(): Storage {
  const leases = new Map<number, LeaseRecord>()
  const networks = {
    segments: () => Promise.resolve(new Map<string, number>()),
    leases: () => Promise.resolve([]),
    addSegment: () => Promise.resolve(),
    removeSegment: () => Promise.resolve(),
    addLease: async (lease: LeaseRecord) => void leases.set(lease.address, lease),
    setLeasedAt: () => Promise.resolve(),
  }
  return { networks } as unknown as Storage
}
