import * as v from 'valibot'
import { IdSchema } from './id'
import { ShareNameSchema } from './share'

/** The virtual Windows registry of a domain, as its spec tells it. "Registry" is always that of Windows. */

/** Types of values by number; others are kept as they are. (winnt.h) */
export const VALUE_TYPES = [
  'REG_NONE',
  'REG_SZ',
  'REG_EXPAND_SZ',
  'REG_BINARY',
  'REG_DWORD',
  'REG_DWORD_BIG_ENDIAN',
  'REG_LINK',
  'REG_MULTI_SZ',
  'REG_RESOURCE_LIST',
  'REG_FULL_RESOURCE_DESCRIPTOR',
  'REG_RESOURCE_REQUIREMENTS_LIST',
  'REG_QWORD',
] as const

export const valueTypeName = (type: number): string => VALUE_TYPES[type] ?? `type ${type}`

/** Longest name of a key with all above it, characters. */
export const KEY_PATH_LENGTH = 32_767

/** A key with all above it, such as `HKLM\Software\Example`. */
export const KeyPathSchema = v.pipe(
  v.string('A key is text.'),
  v.maxLength(KEY_PATH_LENGTH, 'This key is too long.'),
  v.check((text) => !text.includes('\0'), 'A key cannot hold a NUL character.'),
)

/** A base hive that a domain sees at a key, shared copy-on-write with others. */
export const HiveMountSchema = v.strictObject({ hiveId: IdSchema, at: KeyPathSchema })

/** A Wine prefix in a share: the folder with system.reg. */
export const WinePrefixSchema = v.strictObject({
  share: ShareNameSchema,
  path: v.pipe(
    v.string(),
    v.maxLength(1024),
    v.regex(/^\//, 'The path of a prefix begins with "/", the top of its share.'),
    v.check((text) => !text.split('/').includes('..'), 'A path goes down only.'),
  ),
})
export type WinePrefix = v.InferOutput<typeof WinePrefixSchema>

export const DomainRegistrySchema = v.strictObject({
  /** Base hives below the domain's own changes. */
  hives: v.optional(v.pipe(v.array(HiveMountSchema), v.maxLength(32, 'A domain has at most 32 base hives.')), []),
  /** Whether the guest can mount the registry as a tree of files. */
  served: v.optional(v.boolean(), false),
  /** Wine prefixes that get the registry before each start of the domain, and from which changes are taken back after it. */
  prefixes: v.optional(v.pipe(v.array(WinePrefixSchema), v.maxLength(8, 'A domain has at most 8 Wine prefixes.')), []),
})
export type DomainRegistry = v.InferOutput<typeof DomainRegistrySchema>
