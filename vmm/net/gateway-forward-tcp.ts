import { createServer, type Socket } from 'node:net'
import type { Forward } from '../model/network'
import { forwardError, type OpenForward } from './gateway-forward'
import { resetAndDestroy } from './tcp-joint'

/** Connections through one forward at a time; more are refused by the host. */
const CONNECTIONS_MOST = 1024

/** Listens at a TCP port of the host; `accept` takes each connection, not yet read from. */
export function openTcpForward(forward: Forward, accept: (socket: Socket) => void): Promise<OpenForward> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    accept(socket)
  })
  server.maxConnections = CONNECTIONS_MOST
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) resetAndDestroy(socket)
    })
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(forwardError(error, forward)))
    server.listen({ host: forward.hostAddress, port: forward.hostPort, exclusive: true }, () => {
      // an accept that fails, as for want of descriptors, is that connection's loss
      server.removeAllListeners('error').on('error', () => {})
      resolve({ forward, close })
    })
  })
}
