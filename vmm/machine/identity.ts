import { createHash, randomBytes } from 'node:crypto'
import { VmmError } from '../model/errors'
import { RENEW_RECORD_BYTES } from '../images/renew'
import type { GuestCommands } from './guest-commands'

/** What tells one guest from another; never shared by two domains. */
export interface GuestIdentity {
  hostName: string
  /** `52:54:00:…`, the range of locally administered addresses that QEMU uses. */
  mac: string
  /** 32 hexadecimal digits, as in /etc/machine-id. */
  machineId: string
}

/** A MAC address for a new domain. */
export function newMac(): string {
  const tail = [...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0'))
  return ['52', '54', '00', ...tail].join(':')
}

/** The addresses of a domain's network cards: the first is its own, the others differ from it in the third byte. */
export function macsOf(mac: string, count: number): string[] {
  const [first, second, , ...tail] = mac.split(':')
  return Array.from({ length: count }, (_, index) => {
    const third = index.toString(16).padStart(2, '0')
    return index === 0 ? mac : [first, second, third, ...tail].join(':')
  })
}

/** The identity of a domain: its host name follows its name, its machine id its own id. */
export function identityOf(domain: { id: string; name: string; mac: string }): GuestIdentity {
  const plain = domain.name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '') // Ü is U with dots, which go
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return {
    hostName: plain || `domain-${domain.id.slice(0, 8)}`,
    mac: domain.mac,
    machineId: createHash('sha256').update(`machine-id ${domain.id}`).digest('hex').slice(0, 32),
  }
}

/**
 * Makes a guest that was resumed from a state its own again: random pool, clock, host name, MAC address, machine
 * id. Until this is done the guest must not be handed to anybody. Fails with kind `guest` when it did not work.
 */
export async function renewIdentity(commands: GuestCommands, identity: GuestIdentity): Promise<void> {
  const renewed = await commands.run('/usr/lib/vivarium/renew', [], { input: renewRecord(identity) })
  if (renewed.exitCode !== 0) {
    throw new VmmError('guest', 'The guest could not renew its identity.', {
      hint: 'Start it with a cold boot.',
      context: { exitCode: renewed.exitCode },
    })
  }
}

const RANDOM_BYTES = 128
const ARPHRD_ETHER = 1

/** What the guest's `renew` reads; its layout is told there. */
function renewRecord({ hostName, mac, machineId }: GuestIdentity): Buffer {
  const record = Buffer.alloc(RENEW_RECORD_BYTES)
  record.write(hostName, 0, 64, 'latin1')
  record.writeUInt8(Math.min(64, hostName.length), 64)
  record.write(`${machineId}\n`, 65, 33, 'latin1')
  record.write('eth0', 100, 'latin1')
  record.writeUInt16LE(ARPHRD_ETHER, 116)
  Buffer.from(mac.replaceAll(':', ''), 'hex').copy(record, 118, 0, 6)
  record.writeUInt32LE(RANDOM_BYTES * 8, 132)
  record.writeUInt32LE(RANDOM_BYTES, 136)
  randomBytes(RANDOM_BYTES).copy(record, 140)
  const now = Date.now()
  record.writeBigUInt64LE(BigInt(Math.floor(now / 1000)), 268)
  record.writeBigUInt64LE(BigInt((now % 1000) * 1_000_000), 276)
  return record
}
