import { serveMain } from './contract'
import type { Services } from './services/services'

/** Unsent bytes beyond which a client gets no more load samples: the next one replaces them anyway. */
const SLOW_BYTES = 256 * 1024
/** Unsent bytes beyond which a client is dropped: it would hold main's memory. */
const STUCK_BYTES = 32 * 1024 * 1024

/** One client, whatever the transport. */
export interface ClientLink {
  post(message: unknown): void
  onMessage(receive: (message: unknown) => void): void
  /** Bytes given to `post` that have not left yet. */
  unsent(): number
  /** Ends the connection. The link's owner then calls what `serveClient` returned. */
  drop(reason: string): void
}

/** Serves the contract to one client; call the returned function once, when the client is gone. */
export function serveClient(services: Services, link: ClientLink): () => void {
  const channel = {
    post(message: unknown): void {
      if (link.unsent() > STUCK_BYTES) link.drop('it does not read what it is sent')
      else link.post(message)
    },
    onMessage(receive: (message: unknown) => void): void {
      link.onMessage((message) => {
        if (isRequest(message)) receive(message)
        else link.drop('it sent something that is not a call')
      })
    },
  }
  const main = serveMain(channel, (name, args) => session.call(name, args))
  const session = services.attach((event) => {
    if (event.topic === 'load' && link.unsent() > SLOW_BYTES) return
    main.send(event)
  })
  return () => session.close()
}

/** Whether `message` is what birpc sends for a call with a reply; it trusts the shape of what it is given. */
function isRequest(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false
  const { t, m, a, i } = message as Record<string, unknown>
  if (t !== 'q' || m !== 'call' || typeof i !== 'string' || i.length > 64) return false
  return Array.isArray(a) && a.length <= 2 && typeof a[0] === 'string'
}
