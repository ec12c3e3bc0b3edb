import * as v from 'valibot'
import { parseAddress } from './ipv4'
import { dnsName } from './policy-peer'

/** 'What would happen to X?': the beginning of a flow as people say it. */

/** The other side of a question. `name` is in lower case and without a final dot. */
export type Target =
  | { kind: 'address'; address: number }
  | { kind: 'name'; name: string }
  | { kind: 'host' }
  | { kind: 'domain'; name: string }

const DOMAIN = 'domain:'

/** An address, a DNS name, `host` or `domain:NAME`; null for anything else. */
export function parseTarget(text: string): Target | null {
  if (text === 'host') return { kind: 'host' }
  if (text.startsWith(DOMAIN)) return text === DOMAIN ? null : { kind: 'domain', name: text.slice(DOMAIN.length) }
  const address = parseAddress(text)
  if (address !== null) return { kind: 'address', address }
  const name = dnsName(text)
  return name === null || /^[\d.]+$/.test(name) ? null : { kind: 'name', name }
}

export const PolicyQuestionSchema = v.pipe(
  v.strictObject({
    direction: v.optional(v.picklist(['out', 'in'], 'The direction is one of: out, in.'), 'out'),
    protocol: v.optional(v.picklist(['tcp', 'udp', 'icmp'], 'The protocol is one of: tcp, udp, icmp.'), 'tcp'),
    /** Of whoever is called; 0 for icmp. */
    port: v.optional(
      v.pipe(
        v.number('A port is a number.'),
        v.integer('A port is a whole number.'),
        v.minValue(0, 'Ports begin at 1.'),
        v.maxValue(65_535, 'Ports end at 65535.'),
      ),
      0,
    ),
    target: v.pipe(
      v.string('The target is text.'),
      v.check(
        (text) => parseTarget(text) !== null,
        'The target is an address, a DNS name, "host" or "domain:NAME", such as "example.org".',
      ),
    ),
  }),
  v.forward(
    v.check(({ protocol, port }) => (protocol === 'icmp') === (port === 0), 'tcp and udp have a port, icmp has none.'),
    ['port'],
  ),
  v.forward(
    v.check(
      ({ direction, target }) => direction === 'out' || parseTarget(target)?.kind !== 'name',
      'Names are known of those whom the guest calls; who calls it is an address, "host" or "domain:NAME".',
    ),
    ['target'],
  ),
)
export type PolicyQuestion = v.InferOutput<typeof PolicyQuestionSchema>
