import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { afterEach } from 'vitest'
import { parseAddress } from '../../vmm/model/ipv4'
import { macBytes } from '../../vmm/net/packet'
import { TcpGateway, type TcpGatewayOptions } from '../../vmm/net/tcp-gateway'
import { realClock } from './real-clock'
import type { TcpCard } from './tcp-card'
import { wireFrame, type WireSegment } from './tcp-wire'

export const GATEWAY = '10.86.0.1'
export const OUTSIDE = '192.0.2.7'
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

export function gatewayOf(options: Partial<TcpGatewayOptions> = {}): TcpGateway {
  const gatewayMac = macBytes('0a:56:00:00:00:01')
  return new TcpGateway({
    clock: realClock,
    gatewayMac,
    gatewayAddress: parseAddress(GATEWAY)!,
    uplink: true,
    ...options,
  })
}

/** A server on the host's loopback until the end of the test; returns its port. */
export async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket.on('error', () => {})))
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

/** A port of the loopback that nobody listens at. */
export async function deadPort(): Promise<number> {
  const port = await listen(() => {})
  await new Promise((done) => servers.pop()!.close(done))
  return port
}

/** A host that is never reached, unless a test says so. */
export class PendingSocket extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
  }
}

export function syn(card: TcpCard, guestPort: number, to = OUTSIDE, port = 80): void {
  card.send(
    wireFrame({ source: card.address, destination: to }, ports(guestPort, port, { flags: 'S', sequence: 1000 })),
  )
}

export function ports(guestPort: number, port: number, more: Partial<WireSegment>): Partial<WireSegment> {
  return { sourcePort: guestPort, destinationPort: port, ...more }
}
