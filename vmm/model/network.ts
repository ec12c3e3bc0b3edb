import * as v from 'valibot'
import { NameSchema } from './domain-name'
import { NICS_MOST } from './hardware'
import { parseAddress } from './ipv4'

/** Where a network card is plugged in. */
export const NIC_MODES = ['gateway', 'segment'] as const
export type NicMode = (typeof NIC_MODES)[number]

/** A virtual Ethernet of its own, named by whoever uses it first. */
export const SegmentNameSchema = NameSchema

export const NicConnectionSchema = v.pipe(
  v.strictObject({
    /** `gateway`: to the host's network through Vivarium's gateway; `segment`: to the domains on it, and nobody else. */
    mode: v.picklist(NIC_MODES, `A network card is connected to one of: ${NIC_MODES.join(', ')}.`),
    /** Which segment; '' in gateway mode. */
    segment: v.optional(v.union([v.literal(''), SegmentNameSchema]), ''),
    /** Whether the cable is in. */
    plugged: v.optional(v.boolean(), true),
  }),
  v.forward(
    v.check(
      ({ mode, segment }) => (mode === 'segment') === (segment !== ''),
      'A segment has a name; a gateway has none.',
    ),
    ['segment'],
  ),
)
export type NicConnection = v.InferOutput<typeof NicConnectionSchema>
export const USUAL_CONNECTION: Readonly<NicConnection> = { mode: 'gateway', segment: '', plugged: true }

export const ConnectionsSchema = v.pipe(v.array(NicConnectionSchema), v.maxLength(NICS_MOST))

/** How the card `nic` of a domain is connected; those that nothing was said of are as usual. */
export function connectionOf(connections: readonly NicConnection[], nic: number): NicConnection {
  return connections[nic] ?? USUAL_CONNECTION
}

const port = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1, 'Ports begin at 1.'),
  v.maxValue(65_535, 'Ports end at 65535.'),
)

/** `9.9.9.9` or `127.0.0.1:5353`. */
export const DnsServerSchema = v.pipe(
  v.string('A DNS server is text, such as "9.9.9.9".'),
  v.check((text) => {
    const [address = '', number = '53', more] = text.split(':')
    return parseAddress(address) !== null && v.is(port, Number(number)) && more === undefined
  }, 'A DNS server is an IPv4 address, with ":port" where it is not 53.'),
)

/** A port of the host that leads to one of the guest. */
export const ForwardSchema = v.strictObject({
  protocol: v.picklist(['tcp', 'udp']),
  /** Address of the host that listens. */
  hostAddress: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => parseAddress(text) !== null, 'An address of the host is four numbers with dots.'),
    ),
    '127.0.0.1',
  ),
  hostPort: port,
  guestPort: port,
})
export type Forward = v.InferOutput<typeof ForwardSchema>

export const FORWARDS_MOST = 50
export const ForwardsSchema = v.pipe(
  v.array(ForwardSchema),
  v.maxLength(FORWARDS_MOST, `A domain has at most ${FORWARDS_MOST} port forwards.`),
  v.check(
    (forwards) => new Set(forwards.map(forwardKey)).size === forwards.length,
    'The same port of the host is forwarded twice.',
  ),
)

/** Names a forward by what there can be but one of. */
export function forwardKey({ protocol, hostAddress, hostPort }: Forward): string {
  return `${protocol}/${hostAddress}:${hostPort}`
}

/** The network of all cards in gateway mode. */
export const GATEWAY_NETWORK = ''
/** Its addresses: 10.86.0.0/16, the gateway at 10.86.0.1. */
export const GATEWAY_SUBNET = { address: (10 << 24) | (86 << 16), bits: 16 } as const
/** All segments together; number n has 10.87.n.0/24. */
export const SEGMENT_SUBNETS = { address: (10 << 24) | (87 << 16), bits: 16 } as const
export const SEGMENTS_MOST = 255

/** The subnet of a segment by its number, 0 to 254. */
export function segmentSubnet(number: number): { address: number; bits: number } {
  return { address: ((10 << 24) | (87 << 16) | (number << 8)) >>> 0, bits: 24 }
}
