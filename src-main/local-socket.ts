import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { type Channel, decodeMessage, encodeMessage, MESSAGE_LIMIT } from './contract'
import { serveClient } from './serve-client'
import type { Services } from './services/services'
import { ensureSocketFolder } from './socket-address'
import { frame, frameReader } from './socket-frames'

/** Serves the contract on a socket that only this person can open. The caller holds the data folder's lock. */
export async function serveLocal(services: Services, address: string): Promise<() => Promise<void>> {
  ensureSocketFolder(address)
  // left by a main that was killed: the lock says that nobody listens on it
  if (!address.startsWith('\\\\')) rmSync(address, { force: true })
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    serveSocket(services, socket)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, resolve)
  })
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      for (const socket of open) socket.destroy()
    })
}

function serveSocket(services: Services, socket: Socket): void {
  const gone = serveClient(services, {
    ...messages(socket),
    unsent: () => socket.writableLength,
    drop: () => socket.destroy(),
  })
  socket.once('close', gone)
}

/** An open connection to a running main. */
export interface LocalConnection extends Channel {
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>
  close(): void
}

/** Connects to the main that listens at `address`; rejects when there is none. */
export function connectLocal(address: string): Promise<LocalConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect(address)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      const closed = new Promise<void>((ended) => socket.once('close', () => ended()))
      resolve({ ...messages(socket), closed, close: () => socket.destroy() })
    })
  })
}

/** Contract messages over a byte stream. What is not a message ends the stream. */
function messages(socket: Socket): Channel {
  // 'close' follows and is what everybody listens to
  socket.on('error', () => {})
  return {
    post: (message) => {
      if (!socket.destroyed) socket.write(frame(encodeMessage(message)))
    },
    onMessage: (receive) => {
      const read = frameReader(MESSAGE_LIMIT, (bytes) => receive(decodeMessage(bytes)))
      socket.on('data', (bytes: Uint8Array) => {
        try {
          read(bytes)
        } catch {
          socket.destroy()
        }
      })
    },
  }
}
