import { randomUUID } from 'node:crypto'
import type { DomainRecord, SnapshotRecord } from '../../storage'
import { NO_LIMITS, PLAIN_HARDWARE } from '../../vmm/model/hardware'
import { EMPTY_POLICY } from '../../vmm/model/policy'
import { newMac } from '../../vmm/machine/identity'

/** A domain as it is stored, off and of no image. */
export function domainRecord(change: Partial<DomainRecord> = {}): DomainRecord {
  const id = change.id ?? randomUUID()
  return {
    id,
    spec: {
      name: `d-${id.slice(0, 8)}`,
      engine: 'embedded',
      imageId: 'none',
      memoryMiB: 64,
      ...PLAIN_HARDWARE,
      diskLimits: NO_LIMITS,
      connections: [],
      forwards: [],
      shares: [],
      registry: { hives: [], served: false, prefixes: [] },
      policy: EMPTY_POLICY,
      template: false,
      group: '',
      notes: '',
      instantStart: true,
    },
    mac: newMac(),
    state: 'off',
    stateReason: '',
    stateVersion: '',
    currentSnapshot: null,
    ephemeral: false,
    createdAt: Date.now(),
    trashedAt: null,
    keyId: '',
    volumes: false,
    ...change,
  }
}

export function snapshotRecord(domainId: string, change: Partial<SnapshotRecord> = {}): SnapshotRecord {
  return {
    id: randomUUID(),
    domainId,
    parentId: null,
    name: 'A',
    description: '',
    live: false,
    memoryMiB: 64,
    hardware: null,
    bytes: 0,
    stateVersion: '',
    createdAt: Date.now(),
    ...change,
  }
}
