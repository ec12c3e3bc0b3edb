import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { bytes } from '../support/random-values'
import { realClock } from '../support/real-clock'
import { seededRandom } from '../support/seeded-random'
import { TcpCard } from '../support/tcp-card'
import { deadPort, GATEWAY, gatewayOf, listen, OUTSIDE, PendingSocket, ports, syn } from '../support/tcp-gateways'
import { wireFrame } from '../support/tcp-wire'

const soon = { timeout: 15_000 }

describe('a guest that calls', () => {
  test('talks to a server on the loopback at the address of the gateway, and both end', async () => {
    const { random } = seededRandom()
    const port = await listen((socket) => socket.pipe(socket))
    const gateway = gatewayOf()
    const card = new TcpCard(gateway, '10.86.0.9')
    const peer = card.peer(40_000, GATEWAY, port)
    const data = bytes(random, 3_000_000)

    peer.connect()
    peer.write(data)
    peer.end()

    await expect.poll(() => peer.ended && peer.finished, soon).toBe(true)
    expect(Buffer.concat(peer.received).equals(data)).toBe(true)
    // the host's socket tells that it has closed a turn after the guest has its end
    await expect.poll(() => gateway.counts(), soon).toMatchObject({ connections: 0, halfOpen: 0, held: 0 })
  })

  test('is refused by RST where nobody listens', async () => {
    const port = await deadPort()
    const gateway = gatewayOf()
    const card = new TcpCard(gateway, '10.86.0.9')
    const peer = card.peer(40_000, GATEWAY, port)

    peer.connect()

    await expect.poll(() => peer.state, soon).toBe('reset')
    expect(gateway.counts()).toMatchObject({ connections: 0, halfOpen: 0 })
  })

  test.each([
    ['EHOSTUNREACH', 'host'],
    ['ETIMEDOUT', 'host'],
    ['ENETUNREACH', 'network'],
  ])('is told by ICMP of %s', async (code, what) => {
    const told: [string, Buffer][] = []
    const dial = (): Duplex => {
      const socket = new PendingSocket()
      setImmediate(() => socket.destroy(Object.assign(new Error(code), { code })))
      return socket
    }
    const gateway = gatewayOf({ dial, unreachable: (_client, quoted, which) => told.push([which, quoted]) })
    const card = new TcpCard(gateway, '10.86.0.9')

    syn(card, 40_000)

    await expect.poll(() => told.length, soon).toBe(1)
    expect(told[0]![0]).toBe(what)
    expect(told[0]![1]).toHaveLength(28)
    expect([...told[0]![1].subarray(16, 24)]).toEqual([192, 0, 2, 7, 40_000 >> 8, 40_000 & 255, 0, 80])
    expect(card.stray).toEqual([])
    expect(gateway.counts()).toMatchObject({ connections: 0, halfOpen: 0 })
  })

  test('reaches the address that it names, and no host before it is there', () => {
    const dialled: string[] = []
    const dial = (address: string, port: number): Duplex => {
      dialled.push(`${address} ${port}`)
      return new PendingSocket()
    }
    const card = new TcpCard(gatewayOf({ dial }), '10.86.0.9')

    syn(card, 40_000)
    syn(card, 40_000)
    syn(card, 40_001, GATEWAY, 22)

    expect(dialled).toEqual(['192.0.2.7 80', '127.0.0.1 22'])
    expect(card.stray).toEqual([])
  })

  test('reaches a service of the gateway itself', async () => {
    const gateway = gatewayOf({
      dial: () => {
        throw new Error('dialled')
      },
      local: (port) => (port === 53 ? (stream) => stream.pipe(stream) : null),
    })
    const card = new TcpCard(gateway, '10.86.0.9')
    const peer = card.peer(40_000, GATEWAY, 53)
    const data = Buffer.alloc(500_000, 'question ')

    peer.connect()
    peer.write(data)
    peer.end()

    await expect.poll(() => peer.ended && peer.finished, soon).toBe(true)
    expect(Buffer.concat(peer.received).equals(data)).toBe(true)
  })

  test('calls nobody from a segment without an uplink', () => {
    const gateway = gatewayOf({ uplink: false })
    const card = new TcpCard(gateway, '10.86.0.9')

    syn(card, 40_000)

    expect(card.stray.map(({ flags, acknowledged }) => [flags, acknowledged])).toEqual([['RA', 1001]])
    expect(gateway.counts().connections).toBe(0)
  })

  test('sees the reset of its host, and its host sees that of the guest', async () => {
    const closed: boolean[] = []
    const port = await listen((socket) => {
      socket.once('data', () => socket.resetAndDestroy())
    })
    const other = await listen((socket) => socket.on('close', (failed) => closed.push(failed)).resume())
    const card = new TcpCard(gatewayOf(), '10.86.0.9')
    const peer = card.peer(40_000, GATEWAY, port)
    const second = card.peer(40_001, GATEWAY, other)

    peer.connect()
    peer.write(Buffer.from('x'))
    second.connect()
    await expect.poll(() => second.state, soon).toBe('open')
    second.reset()

    await expect.poll(() => peer.state, soon).toBe('reset')
    await expect.poll(() => closed, soon).toEqual([true])
  })

  test('segments of no connection are answered by RST, and RSTs by nothing', () => {
    const gateway = gatewayOf()
    const card = new TcpCard(gateway, '10.86.0.9')
    const ends = { source: '10.86.0.9', destination: OUTSIDE }

    for (const flags of ['A', 'PA', 'F', '', 'SA', 'R', 'RA'])
      card.send(wireFrame(ends, ports(1, 2, { flags, sequence: 50, acknowledged: 77, payload: Buffer.from('abc') })))

    expect(card.stray.map(({ flags, sequence, acknowledged }) => `${flags} ${sequence} ${acknowledged}`)).toEqual([
      'R 77 0',
      'R 77 0',
      'RA 0 54',
      'RA 0 53',
      'R 77 0',
    ])
    expect(gateway.counts()).toMatchObject({ guests: 0, connections: 0 })
  })
})

describe('a port forward', () => {
  /** Somebody connects to a port of the host. */
  async function visitor(accept: (socket: Socket) => void): Promise<Socket> {
    const socket = connect(await listen(accept), '127.0.0.1')
    return socket.on('error', () => {})
  }

  test('joins a visitor of the host to the guest', async () => {
    // the least of the ports that the gateway calls from, so that the endpoint knows who calls
    const clock = { ...realClock, random32: () => 0 }
    const gateway = gatewayOf({ clock, uplink: false })
    const card = new TcpCard(gateway, '10.86.0.9')
    const peer = card.peer(8080, GATEWAY, 32_768)
    const got: Buffer[] = []

    const socket = await visitor((end) => gateway.accept(card.client, parseAddress(GATEWAY)!, end, 8080))
    socket.on('data', (chunk) => got.push(chunk)).end('question')
    await expect.poll(() => peer.ended, soon).toBe(true)
    peer.write(Buffer.from('answer'))
    peer.end()

    await expect.poll(() => socket.closed, soon).toBe(true)
    expect(Buffer.concat(peer.received).toString()).toBe('question')
    expect(Buffer.concat(got).toString()).toBe('answer')
  })

  test('that the guest refuses closes the visitor', async () => {
    const gateway = gatewayOf()
    const card = new TcpCard(gateway, '10.86.0.9')

    const socket = await visitor((end) => gateway.accept(card.client, parseAddress(GATEWAY)!, end, 8080))
    await expect.poll(() => card.stray.length, soon).toBe(1)
    const { sourcePort, sequence } = card.stray[0]!
    const refusal = ports(8080, sourcePort, { flags: 'RA', acknowledged: (sequence + 1) >>> 0 })
    card.send(wireFrame({ source: '10.86.0.9', destination: GATEWAY }, refusal))

    await expect.poll(() => socket.closed, soon).toBe(true)
    expect(gateway.counts()).toMatchObject({ connections: 0, halfOpen: 0 })
  })
})

test('connections that a policy forbids now are ended on both sides, others go on', async () => {
  const closed: number[] = []
  const port = await listen((socket) => {
    socket.resume().on('close', () => closed.push(socket.remotePort!))
  })
  const gateway = gatewayOf()
  const card = new TcpCard(gateway, '10.86.0.9')
  const peers = [40_001, 40_002].map((guestPort) => card.peer(guestPort, GATEWAY, port))
  for (const peer of peers) peer.connect()
  await expect.poll(() => peers.every(({ state }) => state === 'open'), soon).toBe(true)

  gateway.abort(card.client, (flow) => {
    expect(flow).toMatchObject({ peer: parseAddress(GATEWAY)!, port })
    return flow.guestPort === 40_001
  })

  await expect.poll(() => closed.length, soon).toBe(1)
  expect(peers.map(({ state }) => state)).toEqual(['reset', 'open'])
  expect(gateway.counts().connections).toBe(1)
  gateway.forget(card.client)
  await expect.poll(() => closed.length, soon).toBe(2)
  expect(card.listeners).toBe(0)
})
