import { networkInterfaces } from 'node:os'
import { parseAddress } from '../model/ipv4'

/** The IPv4 addresses of this host as they are now. */
export function hostAddresses(): Set<number> {
  const entries = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  return new Set(entries.map(({ address }) => parseAddress(address)).filter((address) => address !== null))
}
