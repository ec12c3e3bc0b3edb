import { decode, encode, type DecodedPacket, type Packet } from 'dns-packet'
import { afterEach, describe, expect, test } from 'vitest'
import { formatAddress, parseAddress } from '../../vmm/model/ipv4'
import { REBINDING_RULE } from '../../vmm/model/policy'
import { DENIED, GATEWAY_ADDRESS, GatewayGuest, gatewayOn, settled, until } from '../support/gateway-guest'
import { addresses, dnsServer, NXDOMAIN, replyTo, SERVFAIL, TRUNCATED, type Answering } from '../support/dns-server'

const ended: (() => void)[] = []
afterEach(() => ended.splice(0).forEach((end) => end()))

async function world(...answering: Answering[]) {
  const servers = await Promise.all(answering.map(dnsServer))
  const made = gatewayOn({ dnsServers: () => servers.map((server) => server.name) })
  ended.push(() => made.gateway.close(), ...servers.map((server) => server.close))
  const guest = new GatewayGuest()
  let lastPort = 10_000
  /** Sends a query without waiting. */
  const send = (name: string, type = 'A', more: Partial<Packet> = {}): void => {
    const questions = [{ name, type, class: 'IN' }]
    const query = encode({ type: 'query', id: 77, flags: 0x100, questions, ...more } as Packet)
    guest.putUdp(made.gateway, ++lastPort, GATEWAY_ADDRESS, 53, query)
  }
  const answer = async (): Promise<DecodedPacket & { code: number; bytes: number }> => {
    const { payload, source, sourcePort, destinationPort } = await guest.udp()
    expect({ source, sourcePort, destinationPort }).toEqual({
      source: GATEWAY_ADDRESS,
      sourcePort: 53,
      destinationPort: lastPort,
    })
    return { ...decode(payload), code: payload[3]! & 15, bytes: payload.length }
  }
  const ask = (...query: Parameters<typeof send>) => (send(...query), answer())
  return { ...made, guest, servers, asked: servers.flatMap((server) => server.asked), send, answer, ask }
}

const data = (reply: DecodedPacket) => reply.answers!.map((record) => ('data' in record ? record.data : null))
const pins = (guest: GatewayGuest) => guest.pins.map((pin) => ({ ...pin, address: formatAddress(pin.address) }))

describe('a name that the guest may resolve', () => {
  test('has its addresses, pinned before they are told', async () => {
    const { guest, ask, servers } = await world(({ name }) => ({
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
    const { guest, ask } = await world(() => ({
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
    const { guest, ask } = await world(() => ({
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
    const { guest, ask } = await world(({ name }) => ({
      answers: addresses(name, '198.51.100.1').map((record) => ({ ...record, ttl: given })),
    }))
    const reply = await ask('a.example')

    expect(reply.answers).toMatchObject([{ ttl: told }])
    expect(guest.pins).toMatchObject([{ ttl: told }])
  })

  test('is asked for again only when its time is over, with what is left of it told and pinned', async () => {
    const { guest, ask, clock, servers } = await world(({ name }) => ({ answers: addresses(name, '198.51.100.1') }))
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
    const { ask } = await world(() => ({ code: NXDOMAIN }))

    expect(await ask('a.example')).toMatchObject({ code: NXDOMAIN, answers: [] })
  })

  test.each(['AAAA', 'UNKNOWN_65', 'UNKNOWN_64', 'UNKNOWN_255', 'NAPTR'])(
    'has nothing of type %s, and nobody is asked',
    async (type) => {
      const { ask, servers } = await world(() => null)

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
    const { ask, guest } = await world(({ name, type }) => ({
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
    const { ask, guest, servers } = await world(() => null)
    guest.mayResolve = (name) => (name === 'secret.example' ? DENIED : (undefined as never))
    const reply = await ask('Secret.example', type)

    expect(reply).toMatchObject({ code: NXDOMAIN, answers: [] })
    expect(servers[0]!.asked).toEqual([])
    expect(guest.denials).toMatchObject([
      { protocol: 17, peer: GATEWAY_ADDRESS, port: 53, name: 'secret.example', rule: 'default deny' },
    ])
  })

  test('nor does one that no host has', async () => {
    const { ask, guest } = await world(() => null)
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
    const { ask, guest } = await world(({ name }) => ({ answers: addresses(name, ...inside) }))

    expect(await ask('rebind.example')).toMatchObject({ code: 0, answers: [] })
    expect(guest.pins).toEqual([])
    expect(guest.denials).toMatchObject([{ name: 'rebind.example', rule: REBINDING_RULE }])
  })

  test('keeps its public ones', async () => {
    const { ask, guest } = await world(({ name }) => ({ answers: addresses(name, ...inside, '198.51.100.1') }))

    expect(data(await ask('mixed.example'))).toEqual(['198.51.100.1'])
    expect(pins(guest).map((pin) => pin.address)).toEqual(['198.51.100.1'])
  })

  test('keeps those that a rule names, never the subnet of the guests', async () => {
    const { ask, guest } = await world(({ name }) => ({ answers: addresses(name, ...inside) }))
    guest.mayLeadTo = (name, address) =>
      name === 'wiki.example' && [parseAddress('10.1.2.3'), GATEWAY_ADDRESS].includes(address)

    expect(data(await ask('wiki.example'))).toEqual(['10.1.2.3'])
    expect(pins(guest).map((pin) => pin.address)).toEqual(['10.1.2.3'])
  })
})

describe('names of the gateway itself', () => {
  test('are known without policy and without asking anybody', async () => {
    const { ask, guest, servers } = await world(() => null)
    guest.mayResolve = () => DENIED

    expect(data(await ask('gateway.vivarium.internal'))).toEqual(['10.86.0.1'])
    expect(data(await ask('1.0.86.10.in-addr.arpa', 'PTR'))).toEqual(['gateway.vivarium.internal'])
    expect(await ask('9.0.86.10.in-addr.arpa', 'PTR')).toMatchObject({ code: NXDOMAIN })
    expect(guest.denials).toEqual([])
    expect(servers[0]!.asked).toEqual([])
  })
})

describe('servers', () => {
  test('that do not answer are followed by the next, which is then the first', async () => {
    const { ask, send, answer, clock, servers } = await world(
      () => null,
      ({ name }) => ({ answers: addresses(name, '198.51.100.1') }),
    )
    send('a.example')
    await until(() => servers[0]!.asked.length)
    clock.advance(1500)
    expect(data(await answer())).toEqual(['198.51.100.1'])
    expect(data(await ask('b.example'))).toEqual(['198.51.100.1'])
    expect(servers.map((server) => server.asked.length)).toEqual([1, 2])
  })

  test('that all fail make a failure', async () => {
    const { ask, servers } = await world(() => ({ code: SERVFAIL }))

    expect(await ask('a.example')).toMatchObject({ code: SERVFAIL })
    expect(servers[0]!.asked).toHaveLength(3)
  })

  test('that are not there make a failure at once', async () => {
    const { gateway } = gatewayOn({ dnsServers: () => ['127.0.0.1:9'] })
    const guest = new GatewayGuest()
    const query = encode({ type: 'query', id: 1, questions: [{ name: 'a.example', type: 'A' }] })
    guest.putUdp(gateway, 5, GATEWAY_ADDRESS, 53, query)

    expect((await guest.udp()).payload[3]! & 15).toBe(SERVFAIL)
  })

  test('are asked over TCP for what they truncate', async () => {
    const many = Array.from({ length: 40 }, (_, index) => `198.51.100.${index + 1}`)
    const { ask, servers } = await world(({ name }, over) =>
      over === 'udp' ? { flags: TRUNCATED } : { answers: addresses(name, ...many) },
    )
    const plain = await ask('a.example')
    expect(plain.flag_tc).toBe(true)
    expect(plain.bytes).toBeLessThanOrEqual(512)
    expect(data(plain)).toEqual(many.slice(0, 30))
    const option = { type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [], ednsVersion: 0 }
    const wide = await ask('b.example', 'A', { additionals: [option as never] })
    expect(data(wide)).toEqual(many)
    expect(wide.flag_tc).toBe(false)
    expect(wide.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232 }])
    expect(servers[0]!.asked.map((asked) => asked.slice(0, 3))).toEqual(['udp', 'tcp', 'udp', 'tcp'])
  })

  test('are not believed when the answer is to something else', async () => {
    const { ask, guest } = await world(({ name }, _over, query) => {
      const lie = { answers: addresses(name, '203.0.113.66') }
      return [
        replyTo({ ...query, id: query.id! ^ 1 }, lie),
        replyTo({ ...query, questions: [{ name: 'other.example', type: 'A', class: 'IN' }] }, lie),
        replyTo({ ...query, questions: [{ name, type: 'TXT', class: 'IN' }] }, lie),
        replyTo({ ...query, questions: [] }, lie),
        encode({ ...query, answers: lie.answers }),
        Buffer.from('nonsense'),
        replyTo(query, { answers: addresses(name, '198.51.100.1') }),
      ]
    })

    expect(data(await ask('a.example'))).toEqual(['198.51.100.1'])
    expect(pins(guest).map((pin) => pin.address)).toEqual(['198.51.100.1'])
  })

  test('learn nothing of the guest but the name', async () => {
    let seen: DecodedPacket | null = null
    const { ask } = await world(
      ({ name }, _over, query) => ((seen = query), { answers: addresses(name, '198.51.100.1') }),
    )
    const subnet = { code: 8, family: 1, sourcePrefixLength: 24, scopePrefixLength: 0, ip: '10.86.0.0' }
    const option = { type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [subnet], ednsVersion: 0 }
    await ask('a.example', 'A', { additionals: [option as never] })

    expect(seen).toMatchObject({ additionals: [], answers: [], authorities: [], flag_rd: true })
  })
})

describe('bounds', () => {
  test('of queries under way, of queries at once, and of what is kept of a guest that has gone', async () => {
    const { gateway, guest, send, clock, servers } = await world(() => null)
    for (let count = 0; count < 1000; count++) send(`${count}.example`)
    expect(gateway.counts().queries).toBe(64)
    gateway.forget(guest)
    for (let count = 0; count < 3; count++) {
      await settled()
      clock.advance(1500)
    }
    await settled()

    expect(gateway.counts().queries).toBe(0)
    expect(guest.frames).toEqual([])
    expect(servers[0]!.asked.length).toBeLessThanOrEqual(64 * 3)
    expect(clock.timers).toBe(0)
  })

  test('one guest cannot use up what another has', async () => {
    const { gateway, send, guest } = await world(({ name }) => (name === 'a.example' ? { code: NXDOMAIN } : null))
    const other = new GatewayGuest('other', guest.address + 1)
    for (let count = 0; count < 1000; count++) send(`${count}.example`)
    const questions = [{ name: 'a.example', type: 'A' as const }]
    other.putUdp(gateway, 5, GATEWAY_ADDRESS, 53, encode({ type: 'query', id: 1, questions }))

    expect((await other.udp()).payload[3]! & 15).toBe(NXDOMAIN)
  })
})
