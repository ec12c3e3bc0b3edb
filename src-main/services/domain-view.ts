import type { DomainView } from '../contract'
import { NO_CAPABILITIES, type EngineCapabilities } from '../../vmm/model/capabilities'
import { NO_LIMITS, PLAIN_HARDWARE } from '../../vmm/model/hardware'
import type { Engine } from '../../vmm/engine/engine'
import type { ImageRecord } from '../../vmm/model/image'
import type { DamagedDomain } from '../../storage'
import type { Domain } from './domain'

export interface ViewParts {
  image: ImageRecord | undefined
  engine: Engine | undefined
  snapshotCount: number
}

/** What clients see of a domain. */
export function domainView(domain: Domain, { image, engine, snapshotCount }: ViewParts): DomainView {
  const { record, run } = domain
  // asked for with calls of their own: a list of domains need not carry their policies
  const { connections: _connections, forwards: _forwards, policy: _policy, ...spec } = record.spec
  return {
    ...spec,
    id: record.id,
    state: record.state,
    stateReason: record.stateReason,
    isolation: run ? isolationOf(run.machine.accelerator, engine) : (engine?.isolation ?? 'emulated'),
    capabilities: capabilitiesView(engine?.capabilities ?? NO_CAPABILITIES),
    imageName: image?.name ?? '',
    imageKind: image?.kind ?? null,
    runningOn: run?.machine.accelerator ?? '',
    memoryNowMiB: domain.memoryNowMiB,
    startedInstantly: domain.startedInstantly,
    ephemeral: record.ephemeral,
    mac: record.mac,
    agent: run?.agentState ?? (image?.agent ? 'waiting' : 'none'),
    createdAt: record.createdAt,
    startedAt: run?.startedAt ?? null,
    screen: run !== null && run.machine.display !== null,
    taskId: domain.taskId,
    snapshotCount,
  }
}

/** A domain whose record cannot be read: only Delete is possible. */
export function damagedView(damaged: DamagedDomain): DomainView {
  return {
    id: damaged.id,
    name: damaged.name || `(damaged ${damaged.id.slice(0, 8)})`,
    group: '',
    notes: '',
    state: 'damaged',
    stateReason: damaged.damage,
    engine: 'embedded',
    isolation: 'wasm',
    capabilities: capabilitiesView(NO_CAPABILITIES),
    imageId: '',
    imageName: '',
    imageKind: null,
    memoryMiB: 0,
    ...PLAIN_HARDWARE,
    diskLimits: NO_LIMITS,
    template: false,
    runningOn: '',
    memoryNowMiB: null,
    instantStart: false,
    startedInstantly: false,
    ephemeral: false,
    mac: '',
    agent: 'none',
    createdAt: 0,
    startedAt: null,
    screen: false,
    taskId: null,
    snapshotCount: 0,
  }
}

/** As the contract has it: its lists are not shared with the engine. */
export function capabilitiesView(capabilities: EngineCapabilities): DomainView['capabilities'] {
  const { firmwares, machineTypes, accelerators, diskBuses } = capabilities
  return {
    ...capabilities,
    firmwares: [...firmwares],
    machineTypes: [...machineTypes],
    accelerators: [...accelerators],
    diskBuses: [...diskBuses],
  }
}

/** A machine that runs tells what keeps it in; the engine only what would. */
function isolationOf(accelerator: string, engine: Engine | undefined): DomainView['isolation'] {
  if (accelerator === '') return engine?.isolation ?? 'emulated'
  return accelerator === 'tcg' ? 'emulated' : 'hardware'
}
