import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { macBytes } from '../../vmm/net/packet'
import { TcpGateway, type TcpGatewayOptions } from '../../vmm/net/tcp-gateway'
import { realClock } from '../support/real-clock'
import { TcpCard } from '../support/tcp-card'
import { bytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const GATEWAY = '10.86.0.1'
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

function gatewayOf(options: Partial<TcpGatewayOptions> = {}): TcpGateway {
  const gatewayMac = macBytes('0a:56:00:00:00:01')
  return new TcpGateway({
    clock: realClock,
    gatewayMac,
    gatewayAddress: parseAddress(GATEWAY)!,
    uplink: true,
    ...options,
  })
}

/** A server on the host's loopback; returns its port. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, serve)
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

test('a guest talks to a server on the loopback, and both end', async () => {
  const { random } = seededRandom()
  const port = await listen((socket) => socket.pipe(socket))
  const gateway = gatewayOf()
  const guest = new TcpCard(gateway, '10.86.0.9')
  const peer = guest.peer(40_000, GATEWAY, port)
  const data = bytes(random, 3_000_000)

  peer.connect()
  peer.write(data)
  peer.end()

  await expect.poll(() => peer.ended && peer.finished, { timeout: 15_000 }).toBe(true)
  expect(Buffer.concat(peer.received).equals(data)).toBe(true)
  expect(gateway.counts()).toMatchObject({ connections: 0, halfOpen: 0, held: 0 })
})
