import * as v from 'valibot'
import { NameSchema } from './domain-name'
import { parseBlock, type Block } from './ipv4'

/**
 * The other side of a connection as a rule names it, one text each:
 *
 * | text              | meaning                                                                         |
 * | ----------------- | ------------------------------------------------------------------------------- |
 * | `any`             | everybody but the host itself                                                    |
 * | `public`          | addresses of the internet at large                                               |
 * | `private`         | networks of one's own (10/8, 172.16/12, 192.168/16, 100.64/10, 198.18/15)         |
 * | `neighbours`      | every other domain on the same network or segment                                |
 * | `host`            | the host itself: its loopback, seen by the guest at the gateway's address        |
 * | `domain:NAME`     | one other domain on the same network or segment                                  |
 * | `group:NAME`      | every domain of a group on the same network or segment                           |
 * | `192.0.2.0/24`    | a block of addresses, or one; never the host's own                               |
 * | `example.org`     | whom the gateway's DNS has given this guest for that name                        |
 * | `*.example.org`   | the same for every name below that one, at any depth                             |
 * | `*`               | whom the gateway's DNS has given this guest for any name                         |
 */
export type Peer =
  | { kind: 'any' | 'public' | 'private' | 'neighbours' | 'host' }
  | { kind: 'domain' | 'group'; name: string }
  | { kind: 'block'; block: Block }
  /** `name` is lower case and without a final dot; '' with `below` is every name. */
  | { kind: 'name'; name: string; below: boolean }

const PLAIN = ['any', 'public', 'private', 'neighbours', 'host'] as const
const NAME_LIMIT = 253
/** Bits that a block must have to open link-local addresses: a larger one does not mean them. */
export const NAMING_BITS = 16
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Null for what is no peer. */
export function parsePeer(text: string): Peer | null {
  for (const kind of PLAIN) if (text === kind) return { kind }
  for (const kind of ['domain', 'group'] as const) {
    if (!text.startsWith(`${kind}:`)) continue
    const name = text.slice(kind.length + 1)
    return v.is(NameSchema, name) ? { kind, name } : null
  }
  const block = parseBlock(text)
  if (block) return { kind: 'block', block }
  if (text === '*') return { kind: 'name', name: '', below: true }
  const below = text.startsWith('*.')
  const name = dnsName(below ? text.slice(2) : text)
  // one word alone is a mistyped one of the above, digits alone are a mistyped address
  if (name === null || (!below && !name.includes('.')) || /^[\d.]+$/.test(name)) return null
  return { kind: 'name', name, below }
}

/** The name in lower case without a final dot; null for what is no host name. */
export function dnsName(text: string): string | null {
  const name = text.toLowerCase().replace(/\.$/, '')
  if (name.length === 0 || name.length > NAME_LIMIT) return null
  return name.split('.').every((label) => LABEL.test(label)) ? name : null
}

/** Whether a DNS name, in lower case and without a final dot, is one of those that a peer names. */
export function holdsName(peer: Peer & { kind: 'name' }, name: string): boolean {
  if (!peer.below) return name === peer.name
  return peer.name === '' || name.endsWith(`.${peer.name}`)
}

export const PeerSchema = v.pipe(
  v.string('A peer is text, such as "example.org" or "192.0.2.0/24".'),
  v.check(
    (text) => parsePeer(text) !== null,
    'A peer is any, public, private, neighbours, host, domain:NAME, group:NAME, an address, a block or a DNS name.',
  ),
  v.description(
    'any (everybody but the host), public, private, neighbours, host, domain:NAME, group:NAME, an address or a block of them ("192.0.2.0/24"), a DNS name ("example.org"), all names below one ("*.example.org"), or all names ("*").',
  ),
)
