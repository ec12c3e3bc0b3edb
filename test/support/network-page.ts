import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Locator, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { exec, type Call, type Outcome } from './vivarium'

/** What tests of networks in the window have in common: servers of the host, clients in a guest, parts of the page. */

/** Ends when the guest was given an address. */
export const HAS_ADDRESS = 'until ip -4 addr show eth0 | grep -q 10.86.; do sleep 0.2; done'

/** A server on the host's loopback that answers with `words`; returns its port. */
export async function serve(words: string): Promise<number> {
  const server = createServer((_, response) => response.end(words)).listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** A port of the loopback that nobody listens on; the system does not hand it out again soon. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((listening) => server.once('listening', listening))
  const { port } = server.address() as AddressInfo
  await new Promise((closed) => server.close(closed))
  return port
}

/** What a guest gets from `url`. */
export const wget = (call: Call, id: string, url: string): Promise<Outcome> =>
  exec(call, id, ['wget', '-q', '-O', '-', url])
export const region = (page: Page, name: string): Locator => page.getByRole('region', { name })

/** The button of the notice that takes the last change back. */
export const undo = (page: Page): Locator => page.getByRole('status').locator('button', { hasText: 'Undo' })
