import { createHash, randomBytes } from 'node:crypto'
import { VmmError } from '../model/errors'
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
  const args = [identity.hostName, identity.mac, identity.machineId]
  const renewed = await commands.run('/usr/lib/vivarium/renew', args, { input: randomBytes(128) })
  if (renewed.exitCode !== 0) {
    throw new VmmError('guest', 'The guest could not renew its identity.', {
      hint: 'Start it with a cold boot.',
      context: { exitCode: renewed.exitCode, stderr: Buffer.from(renewed.stderr).toString('utf8').slice(0, 500) },
    })
  }
  await commands.setTime(Date.now())
}
