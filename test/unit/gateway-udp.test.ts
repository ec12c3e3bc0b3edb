import { createSocket } from 'node:dgram'
import { afterEach, describe, expect, test } from 'vitest'
import type { Gateway } from '../../vmm/net/gateway'
import { UDP_FLOWS_MOST } from '../../vmm/net/gateway-udp'
import { udpDatagram } from '../../vmm/net/gateway-frames'
import { PROTOCOL } from '../../vmm/net/packet'
import { GATEWAY_ADDRESS, GatewayGuest, gatewayOn, settled, until } from '../support/gateway-guest'
import { udpServer } from '../support/loopback'
import { bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const { random } = seededRandom()
const ended: (() => void)[] = []
afterEach(() => ended.splice(0).forEach((end) => end()))

function world() {
  const made = gatewayOn()
  ended.push(() => made.gateway.close())
  return { ...made, guest: new GatewayGuest() }
}

async function echoServer(): Promise<number> {
  const server = await udpServer((message) => message)
  ended.push(server.close)
  return server.port
}

/** A port of the host at which nobody listens. */
async function quietPort(): Promise<number> {
  const { port, close } = await udpServer(() => null)
  close()
  return port
}

const send = (gateway: Gateway, guest: GatewayGuest, from: number, port: number, text: Uint8Array | string): void =>
  guest.putUdp(gateway, from, GATEWAY_ADDRESS, port, text)

describe('UDP of a guest', () => {
  test('reaches a service of the host at the address of the gateway, and its answers come back', async () => {
    const { gateway, guest } = world()
    const port = await echoServer()
    for (const text of ['one', 'two', 'three']) send(gateway, guest, 4000, port, text)
    const answers = [await guest.udp(), await guest.udp(), await guest.udp()]

    expect(answers.map((answer) => String(answer.payload))).toEqual(['one', 'two', 'three'])
    expect(answers[0]).toMatchObject({ source: GATEWAY_ADDRESS, sourcePort: port, destinationPort: 4000 })
    expect(gateway.counts().udpFlows).toBe(1)
  })

  test.each([0, 1, 1472, 1473, 9000, 65_507])(
    'of %i bytes comes back whole, in frames no longer than the MTU',
    async (length) => {
      const { gateway, guest } = world()
      const payload = bytes(random, length)
      send(gateway, guest, 4000, await echoServer(), payload)

      expect((await guest.udp()).payload.equals(payload)).toBe(true)
      expect(Math.max(...guest.frames.map((frame) => frame.length))).toBeLessThanOrEqual(1514)
    },
  )

  test('does not depend on the buffer of its frame', async () => {
    const { gateway, guest } = world()
    const payload = Buffer.from('what was sent')
    const datagram = udpDatagram(
      { source: guest.address, sourcePort: 1, destination: GATEWAY_ADDRESS, destinationPort: await echoServer() },
      payload,
    )
    const receive = gateway.receive.bind(gateway)
    gateway.receive = (client, buffer, at, end) => {
      receive(client, buffer, at, end)
      buffer.fill(0)
    }
    guest.put(gateway, PROTOCOL.udp, GATEWAY_ADDRESS, datagram)

    expect(String((await guest.udp()).payload)).toBe('what was sent')
  })

  test('to a port where nobody listens is told so by the peer, and the flow can be used again', async () => {
    const { gateway, guest } = world()
    const port = await quietPort()
    for (let round = 0; round < 2; round++) {
      send(gateway, guest, 4000, port, 'hello')
      const refusal = await guest.icmp()

      expect(refusal).toMatchObject({ type: 3, code: 3, source: GATEWAY_ADDRESS })
      expect(refusal.body.readUInt32BE(12)).toBe(guest.address)
      expect([refusal.body.readUInt16BE(20), refusal.body.readUInt16BE(22)]).toEqual([4000, port])
    }
  })

  test('is answered only by whom it called', async () => {
    const { gateway, guest } = world()
    let natPort = 0
    const server = await udpServer((_message, from) => ((natPort = from.port), null))
    const stranger = createSocket('udp4')
    ended.push(server.close, () => stranger.close())
    send(gateway, guest, 4000, server.port, 'hello')
    await until(() => natPort)
    await new Promise((sent) => stranger.send('let me in', natPort, '127.0.0.1', sent))
    server.socket.send('the answer', natPort, '127.0.0.1')

    expect(String((await guest.udp()).payload)).toBe('the answer')
    await settled()
    expect(guest.take()).toBeNull()
  })

  test('with a wrong checksum, a wrong length or no port is lost; without a checksum it is not', async () => {
    const { gateway, guest } = world()
    const port = await echoServer()
    const datagram = (): Buffer =>
      udpDatagram(
        { source: guest.address, sourcePort: 4000, destination: GATEWAY_ADDRESS, destinationPort: port },
        Buffer.from('hello'),
      )
    const spoils: ((bytes: Buffer) => void)[] = [
      (bytes) => (bytes[6]! ^= 1),
      (bytes) => bytes.writeUInt16BE(200, 4),
      (bytes) => bytes.writeUInt16BE(7, 4),
      (bytes) => bytes.writeUInt32BE(0, 0),
    ]
    for (const spoil of spoils) {
      const bytes = datagram()
      spoil(bytes)
      if (bytes.readUInt16BE(4) !== 13) bytes.writeUInt16BE(0, 6)
      guest.put(gateway, PROTOCOL.udp, GATEWAY_ADDRESS, bytes)
    }
    expect(gateway.counts().udpFlows).toBe(0)
    const unchecked = datagram()
    unchecked.writeUInt16BE(0, 6)
    guest.put(gateway, PROTOCOL.udp, GATEWAY_ADDRESS, unchecked)

    expect(String((await guest.udp()).payload)).toBe('hello')
  })

  test('is dropped towards a guest that takes nothing, and counted', async () => {
    const { gateway, guest } = world()
    guest.room = false
    send(gateway, guest, 4000, await echoServer(), 'hello')
    await until(() => gateway.counts().udpLost)

    expect(guest.frames).toEqual([])
  })
})

describe('flows', () => {
  test('end after 30 seconds without an answer, and after 180 of silence', async () => {
    const { gateway, guest, clock } = world()
    const port = await echoServer()
    const silent = await udpServer(() => null)
    ended.push(silent.close)
    send(gateway, guest, 4000, port, 'hello')
    await guest.udp()
    send(gateway, guest, 4001, silent.port, 'hello')
    clock.advance(20_000)
    send(gateway, guest, 4001, silent.port, 'hello')
    clock.advance(29_999)
    expect(gateway.counts().udpFlows).toBe(2)
    clock.advance(1)
    expect(gateway.counts().udpFlows).toBe(1)
    clock.advance(129_999)
    expect(gateway.counts().udpFlows).toBe(1)
    clock.advance(1)
    expect(gateway.counts().udpFlows).toBe(0)
    expect(clock.timers).toBe(0)
  })

  test('are bounded for each guest: the one unused longest makes room', async () => {
    const { gateway, guest, clock } = world()
    const other = new GatewayGuest('other', guest.address + 1)
    const port = await echoServer()
    send(gateway, other, 1, port, 'hello')
    await other.udp()
    send(gateway, guest, 1, port, 'first')
    clock.advance(1)
    for (let from = 2; from <= UDP_FLOWS_MOST; from++) send(gateway, guest, from, port, 'more')
    clock.advance(5000)
    send(gateway, guest, 1, port, 'used again')
    send(gateway, guest, UDP_FLOWS_MOST + 1, port, 'one too many')

    expect(gateway.counts().udpFlows).toBe(UDP_FLOWS_MOST + 1)
    const aborted: number[] = []
    gateway.abort(guest, ({ guestPort }) => aborted.push(guestPort) < 0)
    expect(aborted).toContain(1)
    expect(aborted).toContain(UDP_FLOWS_MOST + 1)
    expect(aborted).not.toContain(2)
  })

  test('that a guest begins without end cost no more than so many sockets', () => {
    const { gateway, guest, clock } = world()
    for (let port = 1; port <= 20_000; port++) send(gateway, guest, 4000, port === 53 ? 54 : port, 'x')

    expect(gateway.counts().udpFlows).toBeLessThanOrEqual(UDP_FLOWS_MOST)
    expect(clock.timers).toBeLessThanOrEqual(UDP_FLOWS_MOST)
  })

  test('end where the policy says so, and with the card', async () => {
    const { gateway, guest } = world()
    const port = await echoServer()
    for (const from of [1, 2, 3]) send(gateway, guest, from, port, 'hello')
    gateway.abort(guest, (flow) => flow.protocol === PROTOCOL.udp && flow.port === port && flow.guestPort === 2)
    expect(gateway.counts().udpFlows).toBe(2)
    gateway.forget(guest)
    expect(gateway.counts().udpFlows).toBe(0)
    await settled()

    expect(guest.frames).toEqual([])
  })
})
