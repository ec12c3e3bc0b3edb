export { WAIT_LIMIT_MS } from './call'
export * from './calls'
export * from './events'
export * from './file-calls'
export * from './file-views'
export * from './network-calls'
export * from './network-views'
export * from './registry-calls'
export * from './registry-views'
export * from './screenshot'
export * from './views'
export * from './wire'
export { decodeMessage, encodeMessage, MESSAGE_LIMIT } from './frames'
export { VERB_LABELS, VERBS, verbVerdict, type Verb, type VerbVerdict } from '../../vmm/model/verbs'
export {
  NAME_LIMIT,
  MEMORY_MIB,
  MemorySchema,
  NameSchema,
  type DomainState,
  type DomainSpecInput,
  type EngineId,
  type Isolation,
} from '../../vmm/model/domain'
export {
  ACCELERATOR_CHOICES,
  BOOT_DEVICES,
  CPUS,
  CpusSchema,
  DISK_BUSES,
  DISK_MIB,
  DiskMibSchema,
  DiskLimitsSchema,
  FIRMWARES,
  FIRST_DISK,
  MACHINE_TYPES,
  NIC_MODELS,
  NICS_MOST,
  NO_LIMITS,
  type BootDevice,
  type DiskLimits,
} from '../../vmm/model/hardware'
export { forwardKey, NIC_MODES, type Forward, type NicMode } from '../../vmm/model/network'
export {
  DEFAULT_RULE,
  DIRECTIONS,
  NetworkRuleSchema,
  parsePorts,
  PROTOCOLS,
  RULE_ACTIONS,
  RULES_MOST,
  SandboxPolicySchema,
  type NetworkRule,
  type NicLimit,
  type SandboxPolicy,
} from '../../vmm/model/policy'
export { FILE_ACTIONS, FileRuleSchema, type FileAction, type FileRule } from '../../vmm/model/policy-files'
export { IoRatesSchema, NO_RATES, type IoLimit, type IoRates } from '../../vmm/model/policy-io'
export {
  REGISTRY_ACTIONS,
  RegistryRuleSchema,
  type RegistryAction,
  type RegistryRule,
} from '../../vmm/model/policy-registry'
export { SHARE_MODES, ShareNameSchema, type Share, type ShareMode } from '../../vmm/model/share'
export { VALUE_TYPES, valueTypeName, type DomainRegistry, type WinePrefix } from '../../vmm/model/registry'
export { parsePeer, PeerSchema } from '../../vmm/model/policy-peer'
export { policyText } from '../../vmm/model/policy-text'
export { usualDisk, usualEngine, usualMemory } from '../../vmm/model/engine-choice'
export { shellLine } from '../../vmm/model/shell-words'
export { EXPORT_FORMATS, exportEnding, exportFormatOf, type ExportFormat } from '../../vmm/model/export-format'
export { unsupported } from '../../vmm/model/capabilities'
export { VmmError, type FailureKind } from '../../vmm/model/errors'
export { safeText } from '../../vmm/model/safe-text'
export type { ImageKind } from '../../vmm/model/image'
