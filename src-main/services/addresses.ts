import { GATEWAY_NETWORK, GATEWAY_SUBNET, SEGMENTS_MOST, segmentSubnet } from '../../vmm/model/network'
import { VmmError } from '../../vmm/model/errors'
import type { LeaseRecord, Storage } from '../../storage'

/** Addresses before this one in a subnet are the gateway's, and for what is to come. */
const FIRST_HOST = 15

export interface Subnet {
  address: number
  bits: number
}

/** Which segment has which subnet, and which network card which address; what is given is kept. */
export class AddressBook {
  #segments = new Map<string, number>()
  readonly #leases = new Map<string, LeaseRecord>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(private readonly storage: Storage) {}

  async load(): Promise<void> {
    this.#segments = await this.storage.networks.segments()
    for (const lease of await this.storage.networks.leases()) this.#leases.set(keyOf(lease), lease)
  }

  /** Names of the segments that there are. */
  segmentNames(): string[] {
    return [...this.#segments.keys()].sort()
  }

  /** The subnet of a segment, which is made when there is none of the name. */
  subnetOf(segment: string): Promise<Subnet> {
    return this.#inTurn(async () => {
      if (segment === GATEWAY_NETWORK) return GATEWAY_SUBNET
      const known = this.#segments.get(segment)
      if (known !== undefined) return segmentSubnet(known)
      const taken = new Set(this.#segments.values())
      const free = Array.from({ length: SEGMENTS_MOST }, (_, number) => number).find((number) => !taken.has(number))
      if (free === undefined) {
        throw new VmmError('unsupported', `There are ${SEGMENTS_MOST} segments already.`, {
          hint: 'Use one of those, or take domains off one that is not needed.',
        })
      }
      await this.storage.networks.addSegment(segment, free)
      this.#segments.set(segment, free)
      return segmentSubnet(free)
    })
  }

  /** A segment that no card is on any more goes with its addresses: the next of its name may have another subnet. */
  forgetSegment(segment: string): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#segments.delete(segment)) return
      for (const [key, lease] of this.#leases) if (lease.segment === segment) this.#leases.delete(key)
      await this.storage.networks.removeSegment(segment)
    })
  }

  /** The address of a card on a segment, reserved when it has none. */
  async addressOf(domainId: string, nic: number, segment: string): Promise<number> {
    const subnet = await this.subnetOf(segment)
    return await this.#inTurn(async () => {
      const key = keyOf({ domainId, nic, segment })
      const known = this.#leases.get(key)
      if (known && isWithin(known.address, subnet)) return known.address
      const taken = new Set([...this.#leases.values()].map((lease) => lease.address))
      for (let host = FIRST_HOST; host < 2 ** (32 - subnet.bits) - 1; host++) {
        const address = subnet.address + host
        if (taken.has(address)) continue
        const lease = { domainId, nic, segment, address, leasedAt: null }
        await this.storage.networks.addLease(lease)
        this.#leases.set(key, lease)
        return address
      }
      throw new VmmError('unsupported', 'Every address of the network is taken.', {
        hint: 'Use another segment, or delete domains that are not needed.',
      })
    })
  }

  find(domainId: string, nic: number, segment: string): LeaseRecord | undefined {
    return this.#leases.get(keyOf({ domainId, nic, segment }))
  }

  /** The guest was given its address. */
  async setLeasedAt(lease: LeaseRecord): Promise<void> {
    this.#leases.set(keyOf(lease), lease)
    await this.storage.networks.setLeasedAt(lease)
  }

  /** Addresses go with their domain. */
  forget(domainId: string): void {
    for (const [key, lease] of this.#leases) if (lease.domainId === domainId) this.#leases.delete(key)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

function keyOf({ domainId, nic, segment }: Pick<LeaseRecord, 'domainId' | 'nic' | 'segment'>): string {
  return `${domainId}/${nic}/${segment}`
}

function isWithin(address: number, { address: first, bits }: Subnet): boolean {
  return address >= first && address < first + 2 ** (32 - bits)
}
