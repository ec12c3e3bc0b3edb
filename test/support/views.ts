import type { CapabilitiesView, DomainView, EngineView, ImageView } from '../../src-main/contract'
import { capabilitiesView } from '../../src-main/services/domain-view'
import { NO_CAPABILITIES } from '../../vmm/model/capabilities'
import { NO_LIMITS, PLAIN_HARDWARE } from '../../vmm/model/hardware'

/** Views as main tells them, where a test needs some. */

export const NOTHING: CapabilitiesView = capabilitiesView(NO_CAPABILITIES)

/** An engine for small guests: one processor, one kind of PC. */
export const SMALL: CapabilitiesView = {
  ...NOTHING,
  pause: true,
  save: true,
  liveSnapshot: true,
  diskSnapshot: true,
  instantStart: true,
  mostMemoryMiB: 2048,
  mostNics: 1,
  firmwares: ['bios'],
}

/** An engine that can do everything. */
export const WHOLE: CapabilitiesView = {
  ...SMALL,
  linkedClone: true,
  filesCard: true,
  powerButton: true,
  agentPort: true,
  balloon: true,
  diskLimits: true,
  growDisk: true,
  outlivesMain: true,
  mostCpus: 8,
  mostMemoryMiB: 16_384,
  furtherDisks: 7,
  mostNics: 8,
  firmwares: ['bios', 'uefi'],
  machineTypes: ['q35', 'pc', 'microvm'],
  accelerators: ['tcg'],
  diskBuses: ['virtio', 'sata'],
}

export function domainView(fields: Partial<DomainView>): DomainView {
  return {
    id: fields.name ?? 'd',
    name: 'd',
    group: '',
    notes: '',
    state: 'off',
    stateReason: '',
    engine: 'embedded',
    isolation: 'wasm',
    capabilities: SMALL,
    imageId: 'starter',
    imageName: 'Debian starter',
    imageKind: 'starter',
    memoryMiB: 128,
    ...PLAIN_HARDWARE,
    diskLimits: NO_LIMITS,
    template: false,
    runningOn: '',
    memoryNowMiB: null,
    instantStart: true,
    startedInstantly: false,
    ephemeral: false,
    mac: '',
    agent: 'ready',
    createdAt: 0,
    startedAt: null,
    taskId: null,
    screen: false,
    snapshotCount: 0,
    ...fields,
  }
}

export function engineView(fields: Partial<EngineView>): EngineView {
  return {
    id: 'embedded',
    name: 'Embedded (v86)',
    isolation: 'wasm',
    capabilities: SMALL,
    works: true,
    reason: '',
    trying: false,
    version: '',
    accelerators: [],
    ...fields,
  }
}

export function imageView(fields: Partial<ImageView>): ImageView {
  return {
    id: fields.kind ?? 'starter',
    name: fields.kind ?? 'starter',
    kind: 'starter',
    bytes: 1,
    agent: false,
    cmdline: '',
    createdAt: 0,
    usedBy: 0,
    instantFor: [],
    damage: '',
    ...fields,
  }
}
