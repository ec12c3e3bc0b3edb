import { inBlock, maskOf, type Block } from '../model/ipv4'
import type { GatewayClient } from './gateway-client'
import { ETHERNET_BYTES, ETHERTYPE } from './packet'

const ARP_BYTES = 28
/** Ethernet, IPv4, addresses of 6 and 4 bytes. */
const KIND = Buffer.from([0, 1, 8, 0, 6, 4])
const REQUEST = 1
const REPLY = 2

/**
 * The frame that answers an ARP request of a guest (RFC 826) with the gateway's MAC; null where there is nothing to
 * answer. The gateway stands in for every address of the subnet but the guest's own, so that what the guest sends to
 * a neighbour it may not reach comes to where it is refused.
 */
export function arpAnswer(
  client: Pick<GatewayClient, 'mac' | 'address'>,
  gateway: { mac: Uint8Array; subnet: Block },
  buffer: Buffer,
  at: number,
  end: number,
): Buffer | null {
  const arp = at + ETHERNET_BYTES
  if (!isArp(buffer, arp, end)) return null
  if (buffer.readUInt16BE(arp + 6) !== REQUEST) return null
  const asked = buffer.readUInt32BE(arp + 24)
  if (asked === client.address || !isHost(asked, gateway.subnet)) return null
  const frame = Buffer.alloc(ETHERNET_BYTES + ARP_BYTES)
  frame.set(client.mac, 0)
  frame.set(gateway.mac, 6)
  frame.writeUInt16BE(ETHERTYPE.arp, 12)
  frame.set(KIND, 14)
  frame.writeUInt16BE(REPLY, 20)
  frame.set(gateway.mac, 22)
  frame.writeUInt32BE(asked, 28)
  frame.set(client.mac, 32)
  frame.writeUInt32BE(buffer.readUInt32BE(arp + 14), 38)
  return frame
}

/** Whether ARP at `arp` is about IPv4 over Ethernet, and whole. */
export function isArp(buffer: Buffer, arp: number, end: number): boolean {
  return end - arp >= ARP_BYTES && KIND.equals(buffer.subarray(arp, arp + KIND.length))
}

/** Neither another subnet's, nor the subnet's own name or its broadcast address. */
function isHost(address: number, subnet: Block): boolean {
  return inBlock(address, subnet) && address !== subnet.address && address !== broadcastOf(subnet)
}

/** The last address of a subnet, at which everybody listens. */
export function broadcastOf({ address, bits }: Block): number {
  return (address | ~maskOf(bits)) >>> 0
}
