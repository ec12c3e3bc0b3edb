import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorCode, VmmError } from '../vmm/model/errors'
import { ownHost } from './own-host'
import { acceptClients } from './server-socket'
import type { Services } from './services/services'
import { readUiFile } from './ui-files'

export interface ServerOptions {
  services: Services
  /** Folder of the built interface. */
  uiFolder: string
  /** TCP port on 127.0.0.1; 0 lets the system choose. */
  port: number
}

export interface UiServer {
  /** For a browser on this machine. Who has it has all that Vivarium can do: it is for this person only. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves the interface and the contract to browsers on this machine. Anyone may fetch the files; the contract is
 * for who knows the token, which travels in the URL's fragment (never sent by itself) and then as the first
 * WebSocket message: no cookie that another port or page could use.
 */
export async function serveBrowsers({ services, uiFolder, port }: ServerOptions): Promise<UiServer> {
  const token = randomBytes(32).toString('base64url')
  const server = createServer((request, response) => {
    void answer(request, response, uiFolder)
  })
  const clients = acceptClients(server, services, token)
  await listen(server, port)
  const { port: chosen } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${chosen}/#token=${token}`,
    close: () =>
      new Promise((resolve) => {
        clients.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (errorCode(error) !== 'EADDRINUSE') return reject(error)
      const hint = 'Choose another port, or none to let Vivarium find a free one.'
      reject(new VmmError('conflict', `Port ${port} is in use by another program.`, { hint, cause: error }))
    })
    server.listen({ host: '127.0.0.1', port }, resolve)
  })
}

async function answer(request: IncomingMessage, response: ServerResponse, uiFolder: string): Promise<void> {
  const host = ownHost(request)
  const reading = request.method === 'GET' || request.method === 'HEAD'
  // not through URL: it would resolve what should be refused
  const pathname = (request.url ?? '/').split(/[?#]/, 1)[0]!
  const file = host && reading ? await readUiFile(uiFolder, pathname, `ws://${host}`) : null
  if (!host) refuse(response, 421, 'This server answers to 127.0.0.1 and localhost only.')
  else if (!reading) refuse(response, 405, 'Only GET.')
  else if (!file) refuse(response, 404, 'There is nothing here.')
  else {
    response.writeHead(200, { ...file.headers, 'Content-Length': file.body.byteLength })
    response.end(request.method === 'HEAD' ? undefined : file.body)
  }
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' })
  response.end(`${reason}\n`)
}
