import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { decodeMessage, encodeMessage, MESSAGE_LIMIT } from './contract'
import { ownHost } from './own-host'
import { serveClient } from './serve-client'
import type { Services } from './services/services'

/** How long a client may take to send the token. */
const TOKEN_WITHIN_MS = 5000
/** Connections that have not sent the token yet, at most. */
const STRANGERS = 16
/** Largest first message, bytes. */
const HELLO_LIMIT = 256
/** WebSocket close codes, in the range for applications. */
const CLOSE = { badToken: 4401, tooLate: 4408, dropped: 4400 } as const

/** Accepts WebSocket clients at /contract. The first message is `{ token }`; all are MessagePack. */
export function acceptClients(server: Server, services: Services, token: string): { close(): void } {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_LIMIT, perMessageDeflate: false })
  let strangers = 0

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const host = ownHost(request)
    if (!host) return refuseUpgrade(socket, '421 Misdirected Request')
    if (request.headers.origin !== `http://${host}`) return refuseUpgrade(socket, '403 Forbidden')
    if (request.url !== '/contract') return refuseUpgrade(socket, '404 Not Found')
    if (strangers >= STRANGERS) return refuseUpgrade(socket, '503 Service Unavailable')
    sockets.handleUpgrade(request, socket, head, (client) => meet(client))
  })

  function meet(client: WebSocket): void {
    strangers++
    const late = setTimeout(() => client.close(CLOSE.tooLate, 'no token in time'), TOKEN_WITHIN_MS)
    const known = once(() => {
      strangers--
      clearTimeout(late)
    })
    client.on('error', () => client.terminate())
    client.once('close', known)
    client.once('message', (data) => {
      known()
      if (sameSecret(tokenIn(plainBytes(data)), token)) serveSocket(services, client)
      else client.close(CLOSE.badToken, 'wrong token')
    })
  }

  return {
    close() {
      for (const client of sockets.clients) client.terminate()
      sockets.close()
    },
  }
}

function serveSocket(services: Services, client: WebSocket): void {
  const drop = (reason: string): void => {
    client.close(CLOSE.dropped, reason)
    client.terminate()
  }
  const gone = serveClient(services, {
    post: (message) => {
      if (client.readyState === client.OPEN) client.send(encodeMessage(message))
    },
    onMessage: (receive) => {
      client.on('message', (data: RawData) => {
        try {
          receive(decodeMessage(plainBytes(data)))
        } catch {
          drop('it sent something that is not a message')
        }
      })
    },
    unsent: () => client.bufferedAmount,
    drop,
  })
  client.once('close', gone)
}

/** With `nodebuffer`, ws's default, a message is one Buffer; as a plain Uint8Array its parts are plain too. */
function plainBytes(data: RawData): Uint8Array {
  const { buffer, byteOffset, byteLength } = data as Buffer
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on('error', () => {})
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function tokenIn(bytes: Uint8Array): string {
  if (bytes.byteLength > HELLO_LIMIT) return ''
  try {
    const hello = decodeMessage(bytes) as { token?: unknown } | null
    return typeof hello?.token === 'string' ? hello.token : ''
  } catch {
    return ''
  }
}

/** Compares in a time that tells nothing about where they differ. */
function sameSecret(given: string, secret: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(secret))
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (!done) action()
    done = true
  }
}
