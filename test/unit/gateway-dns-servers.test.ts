import { encode, type DecodedPacket } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { askingGuest, data, pins } from '../support/dns-guest'
import { addresses, NXDOMAIN, replyTo, SERVFAIL, TRUNCATED } from '../support/dns-server'
import { GATEWAY_ADDRESS, GatewayGuest, gatewayOn, settled, until } from '../support/gateway-guest'

describe('servers', () => {
  test('that do not answer are followed by the next, which is then the first', async () => {
    const { ask, send, answer, clock, servers } = await askingGuest(
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
    const { ask, servers } = await askingGuest(() => ({ code: SERVFAIL }))

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
    const { ask, servers } = await askingGuest(({ name }, over) =>
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
    const { ask, guest } = await askingGuest(({ name }, _over, query) => {
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
    const { ask } = await askingGuest(
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
    const { gateway, guest, send, clock, servers } = await askingGuest(() => null)
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
    const { gateway, send, guest } = await askingGuest(({ name }) => (name === 'a.example' ? { code: NXDOMAIN } : null))
    const other = new GatewayGuest('other', guest.address + 1)
    for (let count = 0; count < 1000; count++) send(`${count}.example`)
    const questions = [{ name: 'a.example', type: 'A' as const }]
    other.putUdp(gateway, 5, GATEWAY_ADDRESS, 53, encode({ type: 'query', id: 1, questions }))

    expect((await other.udp()).payload[3]! & 15).toBe(NXDOMAIN)
  })
})
