import * as v from 'valibot'
import { NameSchema } from '../../vmm/model/domain-name'
import { IdSchema } from '../../vmm/model/id'
import { SandboxPolicySchema } from '../../vmm/model/policy'
import { DomainRegistrySchema, KEY_PATH_LENGTH, KeyPathSchema, WinePrefixSchema } from '../../vmm/model/registry'
import { HostFolderSchema } from '../../vmm/model/share'
import { byDomain, call, done, nothing } from './call'
import { AccessView } from './file-views'
import {
  HiveView,
  RegistryDataView,
  RegistryDiffView,
  RegistryHitsView,
  RegistryKeyView,
  RegistryView,
} from './registry-views'
import { BinaryData, TaskView } from './views'

/** Most entries of a list that one call returns. */
export const REGISTRY_PAGE = 1000
/** Largest value that one call sets or returns a part of, bytes. */
export const REGISTRY_DATA_LIMIT = 1024 * 1024

const offset = v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1e9)), 0)
const limit = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(REGISTRY_PAGE)), REGISTRY_PAGE)
const valueName = v.pipe(v.string(), v.maxLength(16_383, 'The name of a value has at most 16,383 characters.'))
const inKey = { id: IdSchema, key: KeyPathSchema }
const data = v.pipe(
  BinaryData,
  v.check(
    (bytes) => bytes.byteLength <= REGISTRY_DATA_LIMIT,
    'A value is set to at most 1 MiB here; import larger ones.',
  ),
)

/** With what a registry is compared: its base hives, one of its snapshots, or the registry of another domain. */
export const RegistrySinceSchema = v.optional(
  v.union([
    v.strictObject({ base: v.literal(true) }),
    v.strictObject({ snapshotId: IdSchema }),
    v.strictObject({ domainId: IdSchema }),
  ]),
  { base: true },
)

/** Calls about the virtual Windows registry. */
export const REGISTRY_CALLS = {
  'registry.get': call(byDomain, RegistryView),
  /** Which base hives a domain sees, whether the tree is served, and its Wine prefixes. */
  'registry.update': call(v.strictObject({ id: IdSchema, registry: v.partial(DomainRegistrySchema) }), RegistryView),
  'registry.list': call(v.strictObject({ ...inKey, offset, limit }), RegistryKeyView),
  /** A part of a value's data, at most 1 MiB. */
  'registry.value': call(v.strictObject({ ...inKey, name: valueName, offset }), RegistryDataView),
  'registry.setValue': call(
    v.strictObject({
      ...inKey,
      name: valueName,
      type: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 32 - 1)),
      data,
    }),
    done,
  ),
  'registry.deleteValue': call(v.strictObject({ ...inKey, name: valueName }), done),
  'registry.renameValue': call(v.strictObject({ ...inKey, name: valueName, to: valueName }), done),
  'registry.createKey': call(v.strictObject(inKey), done),
  'registry.deleteKey': call(v.strictObject(inKey), done),
  'registry.renameKey': call(v.strictObject({ ...inKey, to: v.pipe(v.string(), v.maxLength(255)) }), done),
  'registry.search': call(
    v.strictObject({
      id: IdSchema,
      text: v.pipe(v.string(), v.minLength(1, 'Say what to look for.'), v.maxLength(255)),
      /** Only below this key. */
      under: v.optional(KeyPathSchema, ''),
      keys: v.optional(v.boolean(), true),
      names: v.optional(v.boolean(), true),
      data: v.optional(v.boolean(), true),
      /** As `next` of the answer before. */
      after: v.optional(v.pipe(v.string(), v.maxLength(2 * KEY_PATH_LENGTH)), ''),
      limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(REGISTRY_PAGE)), 100),
    }),
    RegistryHitsView,
  ),
  'registry.diff': call(v.strictObject({ id: IdSchema, since: RegistrySinceSchema, offset, limit }), RegistryDiffView),
  /** Puts entries of a diff back to what they were; all when none are named. */
  'registry.revert': call(
    v.strictObject({
      id: IdSchema,
      since: RegistrySinceSchema,
      entries: v.optional(
        v.pipe(
          v.array(v.strictObject({ key: KeyPathSchema, value: v.nullable(valueName) })),
          v.maxLength(REGISTRY_PAGE),
        ),
        [],
      ),
    }),
    done,
  ),
  /** Writes a file on this host: a branch, or a diff, as .reg; a branch also as a hive (regf). */
  'registry.export': call(
    v.strictObject({
      id: IdSchema,
      what: v.picklist(['branch', 'diff']),
      key: v.optional(KeyPathSchema, ''),
      since: RegistrySinceSchema,
      format: v.optional(v.picklist(['reg', 'regf']), 'reg'),
      path: HostFolderSchema,
      replace: v.optional(v.boolean(), false),
    }),
    TaskView,
  ),
  /**
   * Reads a .reg file, a hive (regf, with its logs beside it), or a Wine prefix: as changes of the domain, or as a base
   * hive that other domains can share (`resultId`), which this domain then sees at `key`.
   */
  'registry.import': call(
    v.strictObject({
      id: IdSchema,
      source: v.union([v.strictObject({ path: HostFolderSchema }), v.strictObject({ uploadId: IdSchema })]),
      as: v.optional(v.picklist(['changes', 'hive']), 'changes'),
      /** Where a hive belongs, such as HKLM\\SOFTWARE; a .reg file and a Wine prefix say it themselves. */
      key: v.optional(KeyPathSchema, ''),
      name: v.optional(NameSchema),
    }),
    TaskView,
  ),
  /** Writes the registry into a Wine prefix, or takes back what its programs changed, which tells how many entries. */
  'registry.writePrefix': call(v.strictObject({ id: IdSchema, prefix: WinePrefixSchema }), done),
  'registry.takePrefix': call(
    v.strictObject({ id: IdSchema, prefix: WinePrefixSchema }),
    v.object({ changes: v.number() }),
  ),
  /** What would happen to a key, by the stored policy or by the one given. */
  'registry.explain': call(
    v.strictObject({ id: IdSchema, policy: v.optional(SandboxPolicySchema), key: KeyPathSchema }),
    AccessView,
  ),

  'hives.list': call(nothing, v.array(HiveView)),
  'hives.rename': call(v.strictObject({ hiveId: IdSchema, name: NameSchema }), done),
  /** Fails with `conflict` while a domain sees it. */
  'hives.remove': call(v.strictObject({ hiveId: IdSchema }), done),
} as const
