import * as v from 'valibot'
import { VmmError } from './errors'
import { hasUnsafeText, safeText } from './safe-text'

export const ENGINE_IDS = ['embedded', 'qemu'] as const
export type EngineId = (typeof ENGINE_IDS)[number]

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

export const NAME_LIMIT = 100
export const MEMORY_MIB = { least: 32, most: 2048, usual: 128 } as const
export const DISK_MIB = { least: 1, most: 65_536 } as const

/** A name that a person gives: 1 to 100 characters, no controls, no reordering marks, not padded. */
export const NameSchema = v.pipe(
  v.string('A name is text.'),
  v.check((name) => name.length <= NAME_LIMIT, `A name has at most ${NAME_LIMIT} characters.`),
  v.check((name) => !hasUnsafeText(name), 'A name cannot hold control or text-direction characters.'),
  v.check((name) => name.trim() === name && name !== '', 'A name cannot be empty or begin or end with a space.'),
)

/** A heading in the list; empty for none. */
export const GroupSchema = v.pipe(
  v.string('A group is text.'),
  v.check((group) => group === '' || v.is(NameSchema, group), 'A group is named like a domain, or left empty.'),
)

export const IdSchema = v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,64}$/, 'An id has only a-z, 0-9 and -.'))

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
  /** Size of an empty disk of its own in MiB; 0 for none. A disk image brings its own. */
  diskMiB: v.optional(
    v.pipe(
      v.number('A disk size is a number of MiB.'),
      v.integer('A disk size is a whole number of MiB.'),
      v.minValue(0, 'A disk cannot be smaller than nothing.'),
      v.maxValue(DISK_MIB.most, `A disk has at most ${DISK_MIB.most} MiB.`),
    ),
    0,
  ),
  /** Heading in the list; empty for none. */
  group: v.optional(GroupSchema, ''),
  /** Free text for people. */
  notes: v.optional(v.pipe(v.string(), v.maxLength(10_000, 'Notes have at most 10,000 characters.')), ''),
  /** Resume from the image's boot snapshot instead of booting, where the image allows it. */
  instantStart: v.optional(v.boolean(), true),
})

/** What a domain should be. */
export type DomainSpec = v.InferOutput<typeof DomainSpecSchema>
export type DomainSpecInput = v.InferInput<typeof DomainSpecSchema>

/** What may change after creation: all but the engine and the image. */
export const DomainPatchSchema = v.strictObject({
  name: v.optional(NameSchema),
  memoryMiB: v.optional(MemorySchema),
  group: v.optional(GroupSchema),
  notes: v.optional(v.pipe(v.string(), v.maxLength(10_000, 'Notes have at most 10,000 characters.'))),
  instantStart: v.optional(v.boolean()),
})
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
  const reason = unknownField ? 'this field is not known.' : message.replace(/[^.]$/, '$&.')
  throw new VmmError(
    'invalid',
    path ? `The ${what} is not valid at '${path}': ${reason}` : `The ${what} is not valid: ${reason}`,
    {
      hint: unknownField ? 'Remove the field or correct its spelling.' : 'Correct the value and try again.',
      context: { path },
    },
  )
}
