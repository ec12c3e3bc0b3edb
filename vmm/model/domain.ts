import * as v from 'valibot'
import { VmmError } from './errors'
import { DiskLimitsSchema, HARDWARE_ENTRIES, NO_LIMITS } from './hardware'
import { IdSchema } from './id'
import { NAME_LIMIT, NameSchema } from './domain-name'
import { ConnectionsSchema, ForwardsSchema } from './network'
import { SandboxPolicySchema } from './policy'
import { DomainRegistrySchema } from './registry'
import { safeText } from './safe-text'
import { SharesSchema } from './share'

export const ENGINE_IDS = ['embedded', 'qemu'] as const
export type EngineId = (typeof ENGINE_IDS)[number]

export { NAME_LIMIT, NameSchema }

/** How strongly a guest is kept apart from the host; shown as a badge. */
export const ISOLATIONS = ['hardware', 'emulated', 'wasm'] as const
export type Isolation = (typeof ISOLATIONS)[number]

/**
 * - `off`: no machine, nothing kept of the last run but disks
 * - `starting`, `stopping`, `saving`: on the way, with a task that tells how far
 * - `running`, `paused`: a live machine
 * - `saved`: no machine; the last run is on disk and Start resumes it
 * - `crashed`: the machine died; `stateReason` says why
 * - `damaged`: the stored record cannot be read; only Delete is possible
 */
export const DOMAIN_STATES = [
  'off',
  'starting',
  'running',
  'paused',
  'stopping',
  'saving',
  'saved',
  'crashed',
  'damaged',
] as const
export type DomainState = (typeof DOMAIN_STATES)[number]

/** The most that any engine gives; an engine's own limit is among its capabilities. */
export const MEMORY_MIB = { least: 32, most: 1024 * 1024, usual: 128 } as const

/** A heading in the list; empty for none. */
export const GroupSchema = v.pipe(
  v.string('A group is text.'),
  v.check((group) => group === '' || v.is(NameSchema, group), 'A group is named like a domain, or left empty.'),
)

const NotesSchema = v.pipe(v.string(), v.maxLength(10_000, 'Notes have at most 10,000 characters.'))

export const MemorySchema = v.pipe(
  v.number('Memory is a number of MiB.'),
  v.integer('Memory is a whole number of MiB.'),
  v.minValue(MEMORY_MIB.least, `A guest needs at least ${MEMORY_MIB.least} MiB of memory.`),
  v.maxValue(MEMORY_MIB.most, `A guest can have at most ${MEMORY_MIB.most} MiB of memory.`),
)

export const DomainSpecSchema = v.strictObject({
  name: NameSchema,
  engine: v.picklist(ENGINE_IDS, `The engine is one of: ${ENGINE_IDS.join(', ')}.`),
  imageId: IdSchema,
  /** Guest memory in MiB. */
  memoryMiB: v.optional(MemorySchema, MEMORY_MIB.usual),
  ...HARDWARE_ENTRIES,
  diskLimits: v.optional(DiskLimitsSchema, NO_LIMITS),
  /** Where each network card is plugged in, in their order. */
  connections: v.optional(ConnectionsSchema, []),
  /** Ports of the host that lead to the first card in gateway mode. */
  forwards: v.optional(ForwardsSchema, []),
  /** What the guest may do. */
  policy: v.optional(SandboxPolicySchema, {}),
  /** Folders of the host that the guest sees. */
  shares: v.optional(SharesSchema, []),
  /** Its virtual Windows registry. */
  registry: v.optional(DomainRegistrySchema, {}),
  /** A template is never started; domains are cloned from it. */
  template: v.optional(v.boolean(), false),
  /** Heading in the list; empty for none. */
  group: v.optional(GroupSchema, ''),
  /** Free text for people. */
  notes: v.optional(NotesSchema, ''),
  /** Resume from the image's boot snapshot instead of booting, where the image allows it. */
  instantStart: v.optional(v.boolean(), true),
})

/** What a domain should be. */
export type DomainSpec = v.InferOutput<typeof DomainSpecSchema>
export type DomainSpecInput = v.InferInput<typeof DomainSpecSchema>

/** What may change after creation: all but the engine and the image; disks have calls of their own. */
export const DomainPatchSchema = v.partial(
  v.strictObject({
    name: NameSchema,
    memoryMiB: MemorySchema,
    group: GroupSchema,
    notes: NotesSchema,
    instantStart: v.boolean(),
    template: v.boolean(),
    diskLimits: DiskLimitsSchema,
    cpus: HARDWARE_ENTRIES.cpus.wrapped,
    firmware: HARDWARE_ENTRIES.firmware.wrapped,
    machineType: HARDWARE_ENTRIES.machineType.wrapped,
    accelerator: HARDWARE_ENTRIES.accelerator.wrapped,
    diskBus: HARDWARE_ENTRIES.diskBus.wrapped,
    bootOrder: HARDWARE_ENTRIES.bootOrder.wrapped,
    nics: HARDWARE_ENTRIES.nics.wrapped,
  }),
)
export type DomainPatch = v.InferOutput<typeof DomainPatchSchema>

/**
 * Parses `value` or throws a `VmmError` of kind `invalid` that names the path of the first fault.
 * `what` is the noun for the message, such as 'domain spec'.
 */
export function parseOrRefuse<S extends v.GenericSchema>(schema: S, value: unknown, what: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortPipeEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  // both may repeat what was passed in
  const path = safeText(v.getDotPath(issue) ?? '', 100)
  const message = safeText(issue.message, 150)
  const unknownField = issue.type === 'strict_object' && issue.expected === 'never'
  const missing = issue.type === 'strict_object' && issue.input === undefined && !unknownField
  const plain = unknownField ? 'this field is not known' : missing ? 'this field is missing' : message
  const reason = plain.replace(/[^.]$/, '$&.')
  throw new VmmError(
    'invalid',
    path ? `The ${what} is not valid at '${path}': ${reason}` : `The ${what} is not valid: ${reason}`,
    {
      hint: unknownField ? 'Remove the field or correct its spelling.' : 'Correct the value and try again.',
      context: { path },
    },
  )
}
