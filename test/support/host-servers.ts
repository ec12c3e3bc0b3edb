import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttp, type Server as HttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** A server on loopback. */
export interface HostServer {
  port: number
  close(): Promise<void>
}

/** What was sent to a web server whole. */
export interface Upload {
  bytes: number
  md5: string
}

/** Serves `content` to whoever asks, and tells the length and the MD5 of what it is sent. */
export async function webServer(content: Buffer): Promise<HostServer> {
  const server = createHttp((request, response) => {
    if (request.method === 'GET') return void response.end(content)
    const hash = createHash('md5')
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      bytes += chunk.length
    })
    request.on('end', () => response.end(JSON.stringify({ bytes, md5: hash.digest('hex') } satisfies Upload)))
  })
  return listening(server)
}

/** Hands each connection to `serve`; either side may end its half first. */
export async function tcpServer(serve: (socket: Socket) => void): Promise<HostServer> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    serve(socket)
  })
  return listening(server)
}

async function listening(server: Server | HttpServer): Promise<HostServer> {
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of open) socket.destroy()
      }),
  }
}

/** Everything that comes until the other side has ended its half; this side may still send. */
export async function received(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  await once(socket, 'end')
  return Buffer.concat(parts)
}

/** A port of loopback on which nobody listens. */
export async function freePort(): Promise<number> {
  const { port, close } = await tcpServer(() => undefined)
  await close()
  return port
}

export const md5 = (content: Uint8Array): string => createHash('md5').update(content).digest('hex')
