import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { SimulatedClock } from '../support/simulated-clock'
import { TcpCard } from '../support/tcp-card'
import { GATEWAY, gatewayOf, listen, OUTSIDE, PendingSocket, syn } from '../support/tcp-gateways'

const soon = { timeout: 15_000 }

test('100,000 SYNs of one guest take 128 sockets, and another guest is served', async () => {
  const port = await listen((socket) => socket.end('hello'))
  const sockets: PendingSocket[] = []
  const gateway = gatewayOf({
    clock: new SimulatedClock(),
    dial: (address, to) => {
      if (address === '127.0.0.1') return connect(to, address)
      sockets.push(new PendingSocket())
      return sockets.at(-1)!
    },
  })
  const flooder = new TcpCard(gateway, '10.86.0.66')
  const other = new TcpCard(gateway, '10.86.0.9')

  for (let call = 0; call < 100_000; call++) syn(flooder, 1 + (call % 50_000), OUTSIDE, 1 + Math.floor(call / 50_000))
  expect(sockets).toHaveLength(128)
  expect(gateway.counts()).toMatchObject({ connections: 128, halfOpen: 128 })
  expect(flooder.stray.filter(({ flags }) => flags === 'RA')).toHaveLength(100_000 - 128)

  const peer = other.peer(40_000, GATEWAY, port)
  peer.connect()
  await expect.poll(() => peer.ended, soon).toBe(true)
  expect(Buffer.concat(peer.received).toString()).toBe('hello')

  gateway.forget(flooder.client)
  expect(gateway.counts().halfOpen).toBe(0)
  expect(sockets.every(({ destroyed }) => destroyed)).toBe(true)
})

test('a guest has 1024 connections, and gets no more by ending none', async () => {
  const gateway = gatewayOf({
    dial: () => {
      const socket = new PendingSocket()
      process.nextTick(() => socket.emit('connect'))
      return socket
    },
  })
  const card = new TcpCard(gateway, '10.86.0.9')
  const peers = Array.from({ length: 1100 }, (_, index) => card.peer(20_000 + index, OUTSIDE, 80))
  for (const [index, peer] of peers.entries()) {
    peer.connect()
    // each batch is answered before the next one calls
    const answered = (): boolean => peers.slice(0, index + 1).every(({ state }) => state !== 'calling')
    if (index % 100 === 99) await expect.poll(answered, { ...soon, interval: 1 }).toBe(true)
  }

  await expect.poll(() => peers.filter(({ state }) => state === 'open').length, soon).toBe(1024)
  expect(peers.filter(({ state }) => state === 'reset')).toHaveLength(76)
  gateway.abort(card.client)
  await expect.poll(() => peers.filter(({ state }) => state === 'reset').length, soon).toBe(1100)
  expect(gateway.counts()).toMatchObject({ connections: 0, held: 0 })
})

test('a host that does not read holds a window of the guest, and gets all later', async () => {
  let socket: Socket | null = null
  const port = await listen((accepted) => (socket = accepted.pause()))
  const gateway = gatewayOf()
  const card = new TcpCard(gateway, '10.86.0.9')
  const peer = card.peer(40_000, GATEWAY, port)
  peer.connect()
  peer.write(Buffer.alloc(14_000_000, 'x'))
  peer.end()
  // what the kernel takes is not ours to bound; beyond that it is one window
  await expect.poll(() => gateway.counts().held, soon).toBeGreaterThan(900_000)
  expect(gateway.counts().held).toBeLessThan(1_200_000)
  expect(peer.unacknowledged).toBeGreaterThan(2 ** 20)

  let read = 0
  socket!
    .on('data', (chunk) => (read += chunk.length))
    .on('end', () => socket!.end())
    .resume()

  await expect.poll(() => read, soon).toBe(14_000_000)
  expect(gateway.counts().held).toBe(0)
})

test('a guest whose way is full holds back what its hosts send, with one listener for all', async () => {
  const hosts: Socket[] = []
  const port = await listen((socket) => {
    hosts.push(socket)
    socket.write('x')
  })
  const gateway = gatewayOf()
  const card = new TcpCard(gateway, '10.86.0.9')
  const peers = [1, 2, 3].map((index) => card.peer(40_000 + index, GATEWAY, port))
  for (const peer of peers) peer.connect()
  await expect.poll(() => peers.every(({ receivedBytes }) => receivedBytes > 0), soon).toBe(true)

  // not before: what had come through by then would be missing from what is held
  card.room = false
  for (const host of hosts) host.end(Buffer.alloc(2_999_999, 'x'))
  await expect.poll(() => gateway.counts().held, soon).toBeGreaterThan(3 * 900_000)
  expect(gateway.counts().held).toBeLessThan(3 * 1_300_000)
  expect(card.listeners).toBe(1)
  // what was tried is acknowledgements and the rest of a burst, not all that is held
  expect(card.heldBack).toBeLessThan(300)
  card.openRoom()

  await expect.poll(() => peers.map(({ receivedBytes }) => receivedBytes), soon).toEqual([3e6, 3e6, 3e6])
})
