import type { IncomingMessage } from 'node:http'

/** The Host header when it names this server, else null: a page that rebinds its name to 127.0.0.1 sends its own. */
export function ownHost(request: IncomingMessage): string | null {
  const host = request.headers.host ?? ''
  const port = request.socket.localPort
  return host === `127.0.0.1:${port}` || host === `localhost:${port}` ? host : null
}
