import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { decode, encode } from 'dns-packet'
import { afterEach, describe, expect, test } from 'vitest'
import { Gateway } from '../../vmm/net/gateway'
import { lengthPrefixed, MessageReader } from '../../vmm/net/gateway-dns-framing'
import { GATEWAY_SUBNET } from '../../vmm/model/network'
import { PROTOCOL } from '../../vmm/net/packet'
import { addresses, dnsServer } from '../support/dns-server'
import { GATEWAY_MAC, until } from '../support/gateway-guest'
import { udpServer } from '../support/loopback'
import { realClock } from '../support/real-clock'
import { TcpCard } from '../support/tcp-card'
import type { TcpPeer } from '../support/tcp-peer'

const GATEWAY = '10.86.0.1'
const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
})

function world(dnsServers: string[] = []) {
  const gateway = new Gateway({
    clock: realClock,
    subnet: GATEWAY_SUBNET,
    mac: GATEWAY_MAC,
    uplink: true,
    dnsServers: () => dnsServers,
  })
  ended.push(() => gateway.close())
  const card = new TcpCard({ receive: (client, packet) => gateway.receivePacket(client, packet) }, '10.86.0.5')
  return { gateway, card }
}

const text = (peer: TcpPeer): string => Buffer.concat(peer.received).toString()

describe('DNS over TCP', () => {
  const many = Array.from({ length: 60 }, (_, index) => `198.51.100.${index + 1}`)
  const query = (name: string): Buffer =>
    lengthPrefixed(encode({ type: 'query', id: 3, flags: 0x100, questions: [{ name, type: 'A' }] }))

  test('answers whole what is too long for a datagram, several on one connection, and ends with the guest', async () => {
    const server = await dnsServer(({ name }) => ({ answers: addresses(name, ...many) }))
    ended.push(server.close)
    const { card, gateway } = world([server.name])
    const peer = card.peer(40_000, GATEWAY, 53)
    peer.connect()
    peer.write(Buffer.concat([query('a.example'), query('b.example')]))
    peer.end()
    await until(() => peer.ended && peer.finished)
    const answers = new MessageReader(0xffff).read(Buffer.concat(peer.received))!.map((message) => decode(message))

    expect(answers.map((answer) => answer.questions![0]!.name).sort()).toEqual(['a.example', 'b.example'])
    for (const answer of answers) {
      expect(answer.flag_tc).toBe(false)
      expect(answer.answers!.map((record) => 'data' in record && record.data)).toEqual(many)
    }
    await until(() => gateway.counts().tcp.connections === 0)
  })

  test('ends with a message that is longer than any query, or none at all', async () => {
    const { card, gateway } = world()
    const peer = card.peer(40_000, GATEWAY, 53)
    peer.connect()
    peer.write(Buffer.from('ffff00', 'hex'))
    await until(() => peer.state === 'reset' || peer.ended)
    await until(() => gateway.counts().tcp.connections === 0)
    expect(peer.received).toEqual([])
  })
})

describe('a TCP port of the host that leads to a guest', () => {
  /** Opens a forward, calls it, and lets the guest take the call. */
  async function called() {
    const { card, gateway } = world()
    const { port, close } = await udpServer(() => null)
    close()
    const forward = { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: port, guestPort: 8080 } as const
    const open = await gateway.forward(card.client, forward)
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    ended.push(() => socket.destroy())
    const heard: Buffer[] = []
    socket.on('data', (chunk) => heard.push(chunk)).on('error', () => {})
    const call = await until(() => card.stray[0])
    const peer = card.peer(8080, GATEWAY, call.sourcePort) // which takes the SYN that comes again
    return { card, gateway, open, socket, heard, call, peer }
  }

  test('joins whoever calls it to a guest that sees the gateway, both ways and to the end', async () => {
    const { socket, heard, call, peer } = await called()
    expect(call).toMatchObject({ source: GATEWAY, destinationPort: 8080, flags: 'S' })
    socket.end('from outside')
    await until(() => peer.ended)
    expect(text(peer)).toBe('from outside')
    peer.write(Buffer.from('from the guest'))
    peer.end()
    await until(() => socket.readableEnded)

    expect(Buffer.concat(heard).toString()).toBe('from the guest')
  })

  test('ends its connections when it is closed', async () => {
    const { gateway, open, socket, peer } = await called()
    socket.write('hello')
    await until(() => peer.received.length)
    await open.close()
    await until(() => peer.state === 'reset')
    await until(() => socket.closed)

    expect(gateway.counts().tcp.connections).toBe(0)
  })

  test('ends those connections that the policy forbids', async () => {
    const { card, gateway, socket, peer, call } = await called()
    socket.write('hello')
    await until(() => peer.received.length)
    gateway.abort(card.client, (flow) => flow.protocol === PROTOCOL.udp)
    expect(peer.state).toBe('open')
    gateway.abort(card.client, (flow) => flow.port === call.sourcePort && flow.guestPort === 8080)
    await until(() => peer.state === 'reset')
    await until(() => socket.closed)
  })
})

describe('a guest that calls', () => {
  test('reaches a service of the host at the address of the gateway', async () => {
    const server = createServer((socket: Socket) => socket.pipe(socket))
    await new Promise<void>((bound) => server.listen(0, '127.0.0.1', bound))
    ended.push(() => server.close())
    const { card } = world()
    const peer = card.peer(40_000, GATEWAY, (server.address() as AddressInfo).port)
    peer.connect()
    peer.write(Buffer.from('hello'))
    peer.end()
    await until(() => peer.ended)

    expect(text(peer)).toBe('hello')
  })

  test.each(['127.0.0.1', '10.86.0.9'])('%s is refused by the gateway, which dials nothing', async (to) => {
    const { card, gateway } = world()
    const frames: Buffer[] = []
    card.client.send = (frame) => frames.push(frame) > 0
    card.peer(40_000, to, 80).connect()
    await until(() => frames.length)

    expect(frames[0]![23]).toBe(PROTOCOL.icmp)
    expect([...frames[0]!.subarray(34, 36)]).toEqual([3, 1])
    expect(gateway.counts().tcp.connections).toBe(0)
  })
})
