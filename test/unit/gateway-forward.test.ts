import { createSocket, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Forward } from '../../vmm/model/network'
import { forwardError } from '../../vmm/net/gateway-forward'
import { GATEWAY_ADDRESS, GatewayGuest, gatewayOn, settled, until } from '../support/gateway-guest'
import { udpServer } from '../support/loopback'

const ended: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end()
})

function world() {
  const made = gatewayOn()
  ended.push(() => made.gateway.close())
  return { ...made, guest: new GatewayGuest() }
}

/** A port of loopback that was free a moment ago. */
async function freePort(): Promise<number> {
  const { port, close } = await udpServer(() => null)
  close()
  return port
}

const udp = (hostPort: number, guestPort = 7): Forward => ({
  protocol: 'udp',
  hostAddress: '127.0.0.1',
  hostPort,
  guestPort,
})

async function caller(): Promise<{ socket: Socket; heard: string[] }> {
  const socket = createSocket('udp4')
  const heard: string[] = []
  socket.on('message', (message) => heard.push(String(message)))
  await new Promise<void>((bound) => socket.bind(0, '127.0.0.1', bound))
  ended.push(() => socket.close())
  return { socket, heard }
}

describe('a UDP port of the host that leads to a guest', () => {
  test('carries what callers send, and each gets its own answers', async () => {
    const { gateway, guest } = world()
    const { forward } = await gateway.forward(guest, udp(await freePort()))
    const [first, second] = [await caller(), await caller()]
    first.socket.send('from the first', forward.hostPort, '127.0.0.1')
    const one = await guest.udp()
    second.socket.send('from the second', forward.hostPort, '127.0.0.1')
    const two = await guest.udp()

    expect(one).toMatchObject({ source: GATEWAY_ADDRESS, destinationPort: 7 })
    expect([String(one.payload), String(two.payload)]).toEqual(['from the first', 'from the second'])
    expect(two.sourcePort).not.toBe(one.sourcePort)
    guest.putUdp(gateway, 7, GATEWAY_ADDRESS, two.sourcePort, 'to the second')
    guest.putUdp(gateway, 7, GATEWAY_ADDRESS, one.sourcePort, 'to the first')
    await until(() => first.heard.length + second.heard.length === 2)
    expect([first.heard, second.heard]).toEqual([['to the first'], ['to the second']])
    expect(gateway.counts().udpFlows).toBe(0)
  })

  test('gives callers nothing from other ports or other guests', async () => {
    const { gateway, guest } = world()
    const other = new GatewayGuest('other', guest.address + 1)
    const { forward } = await gateway.forward(guest, udp(await freePort()))
    const { socket, heard } = await caller()
    socket.send('hello', forward.hostPort, '127.0.0.1')
    const { sourcePort } = await guest.udp()
    other.putUdp(gateway, 7, GATEWAY_ADDRESS, sourcePort, 'not mine')
    guest.putUdp(gateway, 8, GATEWAY_ADDRESS, sourcePort, 'not from there')
    await settled()

    expect(heard).toEqual([])
  })

  test('forgets callers that the policy ends or that were silent for long', async () => {
    const { gateway, guest, clock } = world()
    const { forward } = await gateway.forward(guest, udp(await freePort()))
    const { socket, heard } = await caller()
    for (const end of [() => gateway.abort(guest), () => clock.advance(180_001)]) {
      socket.send('hello', forward.hostPort, '127.0.0.1')
      const { sourcePort } = await guest.udp()
      end()
      guest.putUdp(gateway, 7, GATEWAY_ADDRESS, sourcePort, 'too late')
      gateway.abort(guest, ({ port }) => port === sourcePort)
    }
    await settled()

    expect(heard).toEqual([])
  })

  test('is free again when it is closed, and when the card goes', async () => {
    const { gateway, guest } = world()
    const port = await freePort()
    await (await gateway.forward(guest, udp(port))).close()
    await gateway.forward(guest, udp(port))
    gateway.forget(guest)
    await until(() => gateway.forward(guest, udp(port)).catch(() => null))
  })
})

describe('a port that cannot be opened', () => {
  test('because it is in use, is a conflict', async () => {
    const { gateway, guest } = world()
    const { port, close } = await udpServer(() => null)
    ended.push(close)
    const server = createServer()
    await new Promise<void>((bound) => server.listen(0, '127.0.0.1', bound))
    ended.push(() => server.close())
    const address = server.address()
    const tcpPort = typeof address === 'object' ? address!.port : 0

    await expect(gateway.forward(guest, udp(port))).rejects.toMatchObject({
      kind: 'conflict',
      message: `UDP port ${port} of this host (127.0.0.1) is in use.`,
    })
    await expect(gateway.forward(guest, { ...udp(tcpPort), protocol: 'tcp' })).rejects.toMatchObject({
      kind: 'conflict',
      message: `TCP port ${tcpPort} of this host (127.0.0.1) is in use.`,
      hint: 'Choose another host port, or end the program or the forward that holds it.',
    })
  })

  test('because the address is not of this host, is invalid', async () => {
    const { gateway, guest } = world()
    for (const protocol of ['tcp', 'udp'] as const) {
      const forward: Forward = { ...udp(await freePort()), protocol, hostAddress: '203.0.113.9' }

      await expect(gateway.forward(guest, forward)).rejects.toMatchObject({
        kind: 'invalid',
        message: '203.0.113.9 is no address of this host.',
      })
    }
  })

  test('because the system keeps it for itself, is denied', () => {
    const thrown = Object.assign(new Error('listen EACCES'), { code: 'EACCES' })

    expect(forwardError(thrown, { ...udp(80), protocol: 'tcp' })).toMatchObject({
      kind: 'denied',
      message: 'This host does not let Vivarium listen at TCP port 80.',
    })
  })

  test('because the card goes meanwhile, stays closed', async () => {
    const { gateway, guest } = world()
    const port = await freePort()
    const opening = gateway.forward(guest, udp(port))
    gateway.forget(guest)

    await expect(opening).rejects.toMatchObject({ kind: 'cancelled' })
    await (await gateway.forward(guest, udp(port))).close()
  })
})
