import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { decode, encode, type Answer } from 'dns-packet'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatAddress, parseAddress } from '../../vmm/model/ipv4'
import { ALLOWED, DENIED, GATEWAY_ADDRESS, GatewayGuest, gatewayOn } from '../support/gateway-guest'
import { farNetwork } from '../support/far-network'

/** dnsmasq as the upstream, and a UDP service, on a host that is really another one. */
const ECHO = `const s = require('dgram').createSocket('udp4')
s.on('message', (m, r) => s.send(r.address + ' said ' + m, r.port, r.address)); s.bind(7000, () => console.log('up'))`
const TEXTS = ['long', 'text', 'here'].map((word) => word.repeat(60))
const EDNS: Answer = {
  type: 'OPT',
  name: '.',
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
}

const far = hasDnsmasq() ? farNetwork() : 'dnsmasq is not installed'
if (typeof far === 'string') console.log(`skipped: ${far}`)

function hasDnsmasq(): boolean {
  return spawnSync('dnsmasq', ['--version']).status === 0
}

describe.skipIf(typeof far === 'string')('a real network outside', () => {
  if (typeof far === 'string') return
  const { gateway } = gatewayOn({ dnsServers: () => [far.address] })
  const guest = new GatewayGuest()
  guest.mayResolve = (name) => (name.endsWith('.example') ? ALLOWED : DENIED)

  beforeAll(async () => {
    const records = [
      `--address=/shop.example/${far.address}`,
      '--host-record=real.example,198.51.100.250',
      '--cname=alias.example,real.example',
      '--address=/inside.example/192.168.7.7',
      `--txt-record=text.example,${TEXTS.join(',')}`,
      '--mx-host=real.example,shop.example,10',
    ]
    const server = ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--user=root']
    const dns = far.start('dnsmasq', ...server, '--log-facility=-', '--local=/example/', ...records)
    const echo = far.start(process.execPath, '-e', ECHO)
    await Promise.all([once(dns.stderr!, 'data'), once(echo.stdout!, 'data')]) // each speaks when it listens
  })
  afterAll(async () => {
    gateway.close()
    await far.close()
  })

  const ask = async (name: string, type = 'A', additionals: Answer[] = []) => {
    const questions = [{ name, type: type as 'A' }]
    const query = encode({ type: 'query', id: 9, flags: 0x100, questions, additionals })
    guest.putUdp(gateway, 5353, GATEWAY_ADDRESS, 53, query)
    const { payload } = await guest.udp()
    return { ...decode(payload), code: payload[3]! & 15 }
  }

  test('names lead to addresses, and those to services', async () => {
    const reply = await ask('shop.example')
    expect(reply.answers).toMatchObject([{ type: 'A', data: far.address }])
    expect(guest.pins.map((pin) => formatAddress(pin.address))).toContain(far.address)
    guest.putUdp(gateway, 4000, parseAddress(far.address)!, 7000, 'hello')
    const said = await guest.udp()

    expect(said).toMatchObject({ source: parseAddress(far.address), sourcePort: 7000, destinationPort: 4000 })
    expect(String(said.payload)).toMatch(/^198\.51\.100\.\d+ said hello$/)
  })

  test('a port where nobody listens says so', async () => {
    guest.putUdp(gateway, 4000, parseAddress(far.address)!, 7001, 'hello')

    expect(await guest.icmp()).toMatchObject({ type: 3, code: 3, source: parseAddress(far.address) })
  })

  test('aliases, other records, and names that do not exist', async () => {
    expect((await ask('alias.example')).answers).toMatchObject([
      { type: 'CNAME', data: 'real.example' },
      { type: 'A', name: 'real.example', data: '198.51.100.250' },
    ])
    expect((await ask('real.example', 'MX')).answers).toMatchObject([{ data: { exchange: 'shop.example' } }])
    expect((await ask('nothing.example')).code).toBe(3)
    expect((await ask('real.test')).code).toBe(3)
    expect(guest.denials.map((denial) => denial.name)).toEqual(['real.test'])
  })

  test('what is too long for a datagram is fetched over TCP', async () => {
    expect((await ask('text.example', 'TXT')).flag_tc).toBe(true) // a guest without EDNS has no room for it either
    const reply = await ask('text.example', 'TXT', [EDNS])

    expect(reply.flag_tc).toBe(false)
    expect(reply.answers).toMatchObject([{ data: TEXTS.map((text) => Buffer.from(text)) }])
  })

  test('a name for a private address leads nowhere', async () => {
    expect(await ask('inside.example')).toMatchObject({ code: 0, answers: [] })
    expect(guest.denials.at(-1)).toMatchObject({ name: 'inside.example' })
  })
})
