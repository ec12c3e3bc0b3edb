import type { EngineCapabilities } from './capabilities'
import { MEMORY_MIB } from './domain'
import type { ImageKind } from './image'

/** What a new domain gets where nobody chose. */

interface KnownEngine {
  works: boolean
  capabilities: Pick<EngineCapabilities, 'mostCpus'>
}

const INSTALL_MEMORY_MIB = { whole: 2048, slow: 512 }
const KERNEL_MEMORY_MIB = 512
const INSTALL_DISK_MIB = 20 * 1024

/** Whether an engine is meant for today's whole systems: 64 bits, several processors. */
const runsWholeSystems = (can: Pick<EngineCapabilities, 'mostCpus'>): boolean => can.mostCpus > 1

/**
 * The engine for images of this kind, of those that work: for the starter image the first, which needs nothing
 * installed; for all others, which may be 64-bit systems, the one that gives most. Undefined when none works.
 */
export function usualEngine<E extends KnownEngine>(kind: ImageKind | undefined, engines: readonly E[]): E | undefined {
  const working = engines.filter((engine) => engine.works)
  if (kind === undefined || kind === 'starter') return working[0]
  return [...working].sort((a, b) => b.capabilities.mostCpus - a.capabilities.mostCpus)[0]
}

/** Guest memory in MiB. */
export function usualMemory(kind: ImageKind | undefined, can: Pick<EngineCapabilities, 'mostCpus'>): number {
  if (kind === 'cdrom' || kind === 'disk') {
    return runsWholeSystems(can) ? INSTALL_MEMORY_MIB.whole : INSTALL_MEMORY_MIB.slow
  }
  return kind === 'kernel' && runsWholeSystems(can) ? KERNEL_MEMORY_MIB : MEMORY_MIB.usual
}

/** Size in MiB of an empty disk to install to from a CD; 0 for none. It takes up only what is written. */
export function usualDisk(kind: ImageKind | undefined, can: Pick<EngineCapabilities, 'mostCpus'>): number {
  return kind === 'cdrom' && runsWholeSystems(can) ? INSTALL_DISK_MIB : 0
}
