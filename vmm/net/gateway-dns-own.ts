import type { Answer } from 'dns-packet'
import { formatAddress, inBlock, parseAddress, type Block } from '../model/ipv4'
import { RCODE, RECORD } from './gateway-dns-message'

/** The name at which guests find the gateway, and with it what the policy allows of the host. */
export const GATEWAY_NAME = 'gateway.vivarium.internal'
const OWN_TTL = 60
const REVERSE = '.in-addr.arpa'

/** What the gateway knows without asking anybody: its own name, and that the subnet has no others. Null for the rest. */
export function ownAnswer(
  name: string,
  type: number,
  { address, subnet }: { address: number; subnet: Block },
): { code: number; records: Answer[] } | null {
  if (name === GATEWAY_NAME) {
    const data = formatAddress(address)
    return { code: RCODE.ok, records: type === RECORD.a ? [{ type: 'A', name, ttl: OWN_TTL, data }] : [] }
  }
  const reversed = name.endsWith(REVERSE) ? name.slice(0, -REVERSE.length).split('.').reverse().join('.') : ''
  const asked = parseAddress(reversed)
  if (asked === null || !inBlock(asked, subnet)) return null
  if (asked !== address) return { code: RCODE.noName, records: [] }
  const pointer: Answer = { type: 'PTR', name, ttl: OWN_TTL, data: GATEWAY_NAME }
  return { code: RCODE.ok, records: type === RECORD.ptr ? [pointer] : [] }
}
