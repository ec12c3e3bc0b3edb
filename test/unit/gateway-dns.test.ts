import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { REBINDING_RULE } from '../../vmm/model/policy'
import { askingGuest, data, pins } from '../support/dns-guest'
import { addresses, NXDOMAIN } from '../support/dns-server'
import { DENIED, GATEWAY_ADDRESS } from '../support/gateway-guest'

describe('a name that the guest may resolve', () => {
  test('has its addresses, pinned before they are told', async () => {
    const { guest, ask, servers } = await askingGuest(({ name }) => ({
      answers: addresses(name, '198.51.100.1', '198.51.100.2'),
    }))
    const pinnedAtSend: number[] = []
    const send = guest.send.bind(guest)
    guest.send = (frame) => (pinnedAtSend.push(guest.pins.length), send(frame))
    const reply = await ask('WWW.Example.org')

    expect(reply).toMatchObject({ id: 77, code: 0, flag_qr: true, flag_ra: true, flag_rd: true, flag_aa: false })
    expect(reply.questions).toMatchObject([{ name: 'WWW.Example.org', type: 'A' }])
    expect(data(reply)).toEqual(['198.51.100.1', '198.51.100.2'])
    expect(pinnedAtSend).toEqual([2])
    expect(pins(guest)).toEqual([
      { name: 'www.example.org', address: '198.51.100.1', ttl: 300 },
      { name: 'www.example.org', address: '198.51.100.2', ttl: 300 },
    ])
    expect(servers[0]!.asked).toEqual(['udp A www.example.org'])
    expect(guest.denials).toEqual([])
  })

  test('may be an alias: the chain is told, what does not belong to it is not, and the pin is for the name asked', async () => {
    const { guest, ask } = await askingGuest(() => ({
      answers: [
        ...addresses('unasked.example', '198.51.100.66'),
        { type: 'CNAME', name: 'b.example', ttl: 60, data: 'C.example' },
        { type: 'CNAME', name: 'a.example', ttl: 30, data: 'b.example' },
        ...addresses('c.example', '198.51.100.3'),
      ],
      additionals: addresses('a.example', '198.51.100.67'),
    }))
    const reply = await ask('a.example')

    expect(reply.answers!.map((record) => `${record.name} ${record.type}`)).toEqual([
      'a.example CNAME',
      'b.example CNAME',
      'c.example A',
    ])
    expect(data(reply)).toEqual(['b.example', 'c.example', '198.51.100.3'])
    expect(pins(guest)).toEqual([{ name: 'a.example', address: '198.51.100.3', ttl: 30 }])
  })

  test('in a ring of aliases has no address', async () => {
    const { guest, ask } = await askingGuest(() => ({
      answers: [
        { type: 'CNAME', name: 'a.example', ttl: 60, data: 'b.example' },
        { type: 'CNAME', name: 'b.example', ttl: 60, data: 'a.example' },
      ],
    }))
    const reply = await ask('a.example')

    expect(reply).toMatchObject({ code: 0 })
    expect(guest.pins).toEqual([])
  })

  test.each([
    [0, 5],
    [1_000_000, 3600],
  ])('with a TTL of %i has one of %i', async (given, told) => {
    const { guest, ask } = await askingGuest(({ name }) => ({
      answers: addresses(name, '198.51.100.1').map((record) => ({ ...record, ttl: given })),
    }))
    const reply = await ask('a.example')

    expect(reply.answers).toMatchObject([{ ttl: told }])
    expect(guest.pins).toMatchObject([{ ttl: told }])
  })

  test('is asked for again only when its time is over, with what is left of it told and pinned', async () => {
    const { guest, ask, clock, servers } = await askingGuest(({ name }) => ({
      answers: addresses(name, '198.51.100.1'),
    }))
    await ask('a.example')
    clock.advance(100_000)
    const reply = await ask('a.example')
    expect(reply.answers).toMatchObject([{ ttl: 200 }])
    expect(guest.pins.map((pin) => pin.ttl)).toEqual([300, 200])
    clock.advance(200_000)
    await ask('a.example')

    expect(servers[0]!.asked).toHaveLength(2)
  })

  test('that does not exist does not exist', async () => {
    const { ask } = await askingGuest(() => ({ code: NXDOMAIN }))

    expect(await ask('a.example')).toMatchObject({ code: NXDOMAIN, answers: [] })
  })

  test.each(['AAAA', 'UNKNOWN_65', 'UNKNOWN_64', 'UNKNOWN_255', 'NAPTR'])(
    'has nothing of type %s, and nobody is asked',
    async (type) => {
      const { ask, servers } = await askingGuest(() => null)

      expect(await ask('a.example', type)).toMatchObject({ code: 0, answers: [] })
      expect(servers[0]!.asked).toEqual([])
    },
  )

  test('has its other records', async () => {
    const records: Record<string, unknown> = {
      TXT: [Buffer.from('some text')],
      MX: { preference: 10, exchange: 'mail.example' },
      SRV: { priority: 1, weight: 2, port: 443, target: 'b.example' },
      NS: 'ns.example',
      PTR: 'b.example',
      CNAME: 'b.example',
    }
    const { ask, guest } = await askingGuest(({ name, type }) => ({
      answers: [{ type, name, ttl: 60, data: records[type] }] as never,
      additionals: addresses('b.example', '198.51.100.1'),
    }))
    for (const type of Object.keys(records)) {
      const reply = await ask('a.example', type)
      expect(reply.answers).toMatchObject([{ type, name: 'a.example', data: records[type] }])
      expect(reply.additionals).toEqual([])
    }
    expect(guest.pins).toEqual([])
  })
})

describe('a name that the guest may not resolve', () => {
  test.each(['A', 'AAAA', 'TXT'])('does not exist (%s), nobody is asked, and it is noted', async (type) => {
    const { ask, guest, servers } = await askingGuest(() => null)
    guest.mayResolve = (name) => (name === 'secret.example' ? DENIED : (undefined as never))
    const reply = await ask('Secret.example', type)

    expect(reply).toMatchObject({ code: NXDOMAIN, answers: [] })
    expect(servers[0]!.asked).toEqual([])
    expect(guest.denials).toMatchObject([
      { protocol: 17, peer: GATEWAY_ADDRESS, port: 53, name: 'secret.example', rule: 'default deny' },
    ])
  })

  test('nor does one that no host has', async () => {
    const { ask, guest } = await askingGuest(() => null)
    guest.mayResolve = () => undefined as never

    expect(await ask('sp ace.example')).toMatchObject({ code: NXDOMAIN })
    expect(await ask('.')).toMatchObject({ code: 0, answers: [] })
  })
})

describe('a public name that leads to private addresses', () => {
  const inside = [
    '10.1.2.3',
    '192.168.1.1',
    '127.0.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '100.64.0.1',
    '10.86.0.1',
    '10.86.0.9',
  ]

  test('leads nowhere, and that is noted', async () => {
    const { ask, guest } = await askingGuest(({ name }) => ({ answers: addresses(name, ...inside) }))

    expect(await ask('rebind.example')).toMatchObject({ code: 0, answers: [] })
    expect(guest.pins).toEqual([])
    expect(guest.denials).toMatchObject([{ name: 'rebind.example', rule: REBINDING_RULE }])
  })

  test('keeps its public ones', async () => {
    const { ask, guest } = await askingGuest(({ name }) => ({ answers: addresses(name, ...inside, '198.51.100.1') }))

    expect(data(await ask('mixed.example'))).toEqual(['198.51.100.1'])
    expect(pins(guest).map((pin) => pin.address)).toEqual(['198.51.100.1'])
  })

  test('keeps those that a rule names, never the subnet of the guests', async () => {
    const { ask, guest } = await askingGuest(({ name }) => ({ answers: addresses(name, ...inside) }))
    guest.mayLeadTo = (name, address) =>
      name === 'wiki.example' && [parseAddress('10.1.2.3'), GATEWAY_ADDRESS].includes(address)

    expect(data(await ask('wiki.example'))).toEqual(['10.1.2.3'])
    expect(pins(guest).map((pin) => pin.address)).toEqual(['10.1.2.3'])
  })
})

describe('names of the gateway itself', () => {
  test('are known without policy and without asking anybody', async () => {
    const { ask, guest, servers } = await askingGuest(() => null)
    guest.mayResolve = () => DENIED

    expect(data(await ask('gateway.vivarium.internal'))).toEqual(['10.86.0.1'])
    expect(data(await ask('1.0.86.10.in-addr.arpa', 'PTR'))).toEqual(['gateway.vivarium.internal'])
    expect(await ask('9.0.86.10.in-addr.arpa', 'PTR')).toMatchObject({ code: NXDOMAIN })
    expect(guest.denials).toEqual([])
    expect(servers[0]!.asked).toEqual([])
  })
})
