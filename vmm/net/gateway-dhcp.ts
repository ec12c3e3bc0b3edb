import { maskOf, type Block } from '../model/ipv4'
import { broadcastOf } from './gateway-arp'
import type { GatewayClient } from './gateway-client'
import { FIELD, four, OPTION, readOptions, writeOptions } from './gateway-dhcp-options'
import { MTU } from './packet'

export const DHCP_SERVER_PORT = 67
export const DHCP_CLIENT_PORT = 68
/** The address is the card's for ever; a lease that ends lets a guest see changes of everything else. */
const LEASE_SECONDS = 24 * 3600
const COOKIE = 0x63825363
const ETHERNET = 1
const REQUEST_OP = 1
const REPLY_OP = 2
const BROADCAST_FLAG = 0x8000
export const EVERYBODY = 0xffff_ffff
/** Replies of BOOTP had 300 bytes, and some clients still refuse less. */
const REPLY_LEAST = 300
const TYPE = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const

/** What the server tells of its network. */
export interface DhcpFacts {
  subnet: Block
  /** The server's own address, which with `uplink` is router and DNS as well. */
  address: number
  uplink: boolean
}

export interface DhcpReply {
  message: Buffer
  /** The address that it goes to; `EVERYBODY` for a broadcast. */
  to: number
  /** Whether it gives the guest its address. */
  leases: boolean
}

interface Request {
  bytes: Buffer
  options: Map<number, Buffer>
  clientAddress: number
}

/**
 * The answer to a DHCP message of a guest (RFC 2131); null where there is none. The address is always the one that is
 * the card's own: there is no pool, so nothing that a guest says or omits changes what any guest gets.
 */
export function dhcpReply(
  client: Pick<GatewayClient, 'mac' | 'address'>,
  facts: DhcpFacts,
  bytes: Buffer,
): DhcpReply | null {
  if (!isRequestOf(client, bytes)) return null
  const options = readOptions(bytes)
  const type = options.get(OPTION.messageType)
  const request = { bytes, options, clientAddress: bytes.readUInt32BE(FIELD.clientAddress) }
  switch (type?.length === 1 ? type[0] : 0) {
    case TYPE.discover:
      return given(TYPE.offer, client, facts, request)
    case TYPE.request:
      return answerRequest(client, facts, request)
    case TYPE.inform:
      return informed(client, facts, request)
    default: // a release or a refusal of the address changes nothing: it stays the card's
      return null
  }
}

function isRequestOf(client: Pick<GatewayClient, 'mac'>, bytes: Buffer): boolean {
  if (bytes.length < FIELD.options || bytes[FIELD.op] !== REQUEST_OP) return false
  if (bytes[FIELD.hardwareType] !== ETHERNET || bytes[FIELD.hardwareLength] !== 6) return false
  // there are no relays here, and a card asks for itself alone
  if (bytes.readUInt32BE(FIELD.cookie) !== COOKIE || bytes.readUInt32BE(FIELD.relayAddress) !== 0) return false
  return bytes.subarray(FIELD.hardwareAddress, FIELD.hardwareAddress + 6).equals(client.mac)
}

/** Selecting, rebooting, renewing and rebinding differ by where the address stands that the guest means. */
function answerRequest(client: Pick<GatewayClient, 'address'>, facts: DhcpFacts, request: Request): DhcpReply | null {
  const server = addressIn(request.options.get(OPTION.serverId))
  if (server !== null && server !== facts.address) return null
  const wanted = addressIn(request.options.get(OPTION.requestedAddress)) ?? request.clientAddress
  if (wanted === client.address) return given(TYPE.ack, client, facts, request)
  const id: [number, Uint8Array][] = [[OPTION.serverId, four(facts.address)]]
  return { message: messageOf(TYPE.nak, request, 0, id), to: EVERYBODY, leases: false }
}

function given(type: number, client: Pick<GatewayClient, 'address'>, facts: DhcpFacts, request: Request): DhcpReply {
  const lease: [number, Uint8Array][] = [[OPTION.leaseTime, four(LEASE_SECONDS)]]
  const message = messageOf(type, request, client.address, [...lease, ...factsOf(facts)])
  return { message, to: destination(client, request), leases: type === TYPE.ack }
}

/** A guest with an address of its own asks for the rest. */
function informed(client: Pick<GatewayClient, 'address'>, facts: DhcpFacts, request: Request): DhcpReply | null {
  if (request.clientAddress !== client.address) return null
  return { message: messageOf(TYPE.ack, request, 0, factsOf(facts)), to: client.address, leases: false }
}

function destination(client: Pick<GatewayClient, 'address'>, { bytes, clientAddress }: Request): number {
  if (clientAddress === client.address) return clientAddress
  return bytes.readUInt16BE(FIELD.flags) & BROADCAST_FLAG ? EVERYBODY : client.address
}

function factsOf({ subnet, address, uplink }: DhcpFacts): [number, Uint8Array][] {
  const own = four(address)
  return [
    [OPTION.serverId, own],
    [OPTION.mask, four(maskOf(subnet.bits))],
    ...(uplink
      ? ([
          [OPTION.router, own],
          [OPTION.dns, own],
        ] as [number, Uint8Array][])
      : []),
    [OPTION.mtu, Uint8Array.of(MTU >> 8, MTU & 255)],
    [OPTION.broadcast, four(broadcastOf(subnet))],
  ]
}

function messageOf(type: number, request: Request, yours: number, options: [number, Uint8Array][]): Buffer {
  const head = Buffer.alloc(FIELD.options)
  head[FIELD.op] = REPLY_OP
  head[FIELD.hardwareType] = ETHERNET
  head[FIELD.hardwareLength] = 6
  request.bytes.copy(head, FIELD.transaction, FIELD.transaction, FIELD.transaction + 4)
  request.bytes.copy(head, FIELD.flags, FIELD.flags, FIELD.flags + 2)
  if (type === TYPE.ack) head.writeUInt32BE(request.clientAddress, FIELD.clientAddress)
  head.writeUInt32BE(yours, FIELD.yourAddress)
  request.bytes.copy(head, FIELD.hardwareAddress, FIELD.hardwareAddress, FIELD.hardwareAddress + 16)
  head.writeUInt32BE(COOKIE, FIELD.cookie)
  const id = request.options.get(OPTION.clientId) // goes back as it came (RFC 6842)
  const written = writeOptions([
    [OPTION.messageType, Uint8Array.of(type)],
    ...options,
    ...(id ? ([[OPTION.clientId, id]] as const) : []),
  ])
  const rest = Buffer.alloc(Math.max(0, REPLY_LEAST - FIELD.options - written.length))
  return Buffer.concat([head, written, rest])
}

function addressIn(value: Buffer | undefined): number | null {
  return value?.length === 4 ? value.readUInt32BE(0) : null
}
