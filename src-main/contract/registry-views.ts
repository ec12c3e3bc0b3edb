import * as v from 'valibot'
import { DomainRegistrySchema } from '../../vmm/model/registry'
import { BinaryData } from './views'

/** What a client sees of the virtual Windows registry. Times are Unix milliseconds. */

const text = v.string()
const count = v.number()

export const HiveView = v.object({
  id: text,
  name: text,
  /** What it was made of: 'regf', 'wine', 'reg' or 'domain'. */
  source: text,
  keys: count,
  values: count,
  /** On the host's disk. */
  bytes: v.number(),
  createdAt: v.number(),
  /** Ids of domains that see it. */
  usedBy: v.array(text),
})
export type HiveView = v.InferOutput<typeof HiveView>

export const RegistryView = v.object({
  id: text,
  ...DomainRegistrySchema.entries,
  /** Keys at the top: 'HKLM', 'HKU' … */
  roots: v.array(text),
  /** Entries of the domain's own changes on top of its base hives. */
  changes: count,
  /** Where the tree is mounted in this run; '' when it is not. */
  mountedAt: text,
})
export type RegistryView = v.InferOutput<typeof RegistryView>

export const RegistryValueView = v.object({
  /** '' for the default value. */
  name: text,
  type: v.number(),
  /** For people; at most 200 characters of it. */
  text: text,
  size: v.number(),
  /** Changed by this domain. */
  own: v.boolean(),
})
export type RegistryValueView = v.InferOutput<typeof RegistryValueView>

export const RegistryKeyView = v.object({
  /** As it is spelled. */
  key: text,
  /** Where it really is, for an alias such as HKCU; '' when it is the same. */
  canonical: text,
  subkeys: v.array(v.object({ name: text, hasSubkeys: v.boolean(), own: v.boolean() })),
  subkeyTotal: count,
  values: v.array(RegistryValueView),
  valueTotal: count,
  writtenAt: v.nullable(v.number()),
})
export type RegistryKeyView = v.InferOutput<typeof RegistryKeyView>

export const RegistryDataView = v.object({ type: v.number(), size: v.number(), bytes: BinaryData })
export type RegistryDataView = v.InferOutput<typeof RegistryDataView>

export const RegistryHitView = v.object({
  key: text,
  /** The value found; null for a key. */
  value: v.nullable(text),
  text: text,
})
export type RegistryHitView = v.InferOutput<typeof RegistryHitView>

export const RegistryHitsView = v.object({
  hits: v.array(RegistryHitView),
  /** Where to go on; '' when that was all. */
  next: text,
})
export type RegistryHitsView = v.InferOutput<typeof RegistryHitsView>

const side = v.nullable(v.object({ type: v.number(), text: text, size: v.number() }))
export const RegistryChangeView = v.object({
  kind: v.picklist(['added', 'changed', 'deleted']),
  key: text,
  /** Null for the key itself. */
  value: v.nullable(text),
  before: side,
  after: side,
})
export type RegistryChangeView = v.InferOutput<typeof RegistryChangeView>

export const RegistryDiffView = v.object({
  entries: v.array(RegistryChangeView),
  total: count,
  added: count,
  changed: count,
  deleted: count,
})
export type RegistryDiffView = v.InferOutput<typeof RegistryDiffView>
