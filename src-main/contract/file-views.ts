import * as v from 'valibot'
import { FileRuleSchema } from '../../vmm/model/policy-files'
import { IoRatesSchema } from '../../vmm/model/policy-io'
import { RegistryRuleSchema } from '../../vmm/model/policy-registry'
import { ShareSchema } from '../../vmm/model/share'

/** What a client sees of shares, of rates of disks and shares, and of keys. Times are Unix milliseconds. */

const time = v.number()
const bytes = v.number()
const text = v.string()

export const ShareView = v.object({
  ...ShareSchema.entries,
  /** `off`: the domain does not run or the share is not attached; `failed` says why in `reason`. */
  state: v.picklist(['off', 'served', 'failed']),
  reason: text,
  /** Where the guest's agent has mounted it in this run; '' when it has not. */
  mountedAt: text,
  /** What a person can type in a Linux guest to mount it. */
  mountCommand: text,
  /** Bytes on the host that the guest's changes take up; 0 for a share that is not copy-on-write. */
  keptBytes: bytes,
  /** Whether what is kept is encrypted. */
  sealed: v.boolean(),
})
export type ShareView = v.InferOutput<typeof ShareView>

/** What a disk or share, or all of them together, moves. */
export const IoMeterView = v.object({
  readBytes: v.number(),
  writeBytes: v.number(),
  readOps: v.number(),
  writeOps: v.number(),
})
export type IoMeterView = v.InferOutput<typeof IoMeterView>

export const IoDeviceView = v.object({
  /** As in the policy: 'disk', 'disk1' …, 'share:NAME'; '' for all together. */
  device: text,
  /** The limits in force; 0 for none. */
  rates: IoRatesSchema,
  /** In the last second. */
  now: IoMeterView,
  /** Since the machine started. */
  total: IoMeterView,
  /** Milliseconds of the last second that something waited for a limit. */
  waitedMs: v.number(),
  /** Whether the limits can be enforced here, and why not. */
  enforced: v.boolean(),
  reason: text,
})
export type IoDeviceView = v.InferOutput<typeof IoDeviceView>

export const FilesView = v.object({
  id: text,
  shares: v.array(ShareView),
  devices: v.array(IoDeviceView),
  /** The budget that all domains of its group share; null without a group. */
  group: v.nullable(v.object({ ...IoDeviceView.entries, name: text, domains: v.array(text) })),
})
export type FilesView = v.InferOutput<typeof FilesView>

export const CHANGE_KINDS = ['added', 'changed', 'deleted', 'attributes', 'renamed'] as const
export const FILE_KINDS = ['file', 'folder', 'link', 'other'] as const

export const FileChangeView = v.object({
  /** From the top of the share, such as '/a/b'; bytes that are no text are shown as U+FFFD. */
  path: text,
  /** Names the change exactly, for apply and discard. */
  key: text,
  kind: v.picklist(CHANGE_KINDS),
  type: v.picklist(FILE_KINDS),
  /** Null where there was or is nothing. */
  bytesBefore: v.nullable(bytes),
  bytesAfter: v.nullable(bytes),
  /** Its path on the host, of what was renamed; '' otherwise. */
  from: text,
  /** The host's own file has changed since the guest changed it. */
  conflict: v.boolean(),
})
export type FileChangeView = v.InferOutput<typeof FileChangeView>

export const FileChangesView = v.object({
  changes: v.array(FileChangeView),
  /** Of all, also those that are not listed. */
  total: v.number(),
  added: v.number(),
  changed: v.number(),
  deleted: v.number(),
})
export type FileChangesView = v.InferOutput<typeof FileChangesView>

/** Both sides of a changed file, for a text diff. */
export const FileSidesView = v.object({
  /** Null: not there. */
  before: v.nullable(text),
  after: v.nullable(text),
  /** Whether one of them is no text. */
  binary: v.boolean(),
  /** Whether one of them is longer than what is shown. */
  cut: v.boolean(),
  bytesBefore: bytes,
  bytesAfter: bytes,
})
export type FileSidesView = v.InferOutput<typeof FileSidesView>

/** A use of a file or of a key of the registry that a rule refused. */
export const FileDenialView = v.object({
  /** Grows with every denial of this run of Vivarium. */
  seq: v.number(),
  /** The latest of them. */
  at: time,
  domainId: text,
  kind: v.picklist(['file', 'registry']),
  /** Name of the share; '' for the registry. */
  share: text,
  /** The path within the share, or the key. */
  path: text,
  /** What the guest wanted: 'read', 'change', 'make', 'delete' … */
  operation: text,
  /** Name of the rule that denied. */
  rule: text,
  /** Place of that rule in its section of the policy; -1 for the share's mode and one allowed once. */
  index: v.number(),
  /** One sentence. */
  reason: text,
  /** How often the same was denied within the same few seconds. */
  count: v.number(),
})
export type FileDenialView = v.InferOutput<typeof FileDenialView>

/** What would happen to a path or a key. */
export const AccessView = v.object({
  /** For each use: whether it is allowed, and the deciding rule with its place; -1 for what no rule decides. */
  uses: v.array(
    v.object({ use: v.picklist(['see', 'read', 'change']), allowed: v.boolean(), rule: text, index: v.number() }),
  ),
  /** Where it leads by a redirect; '' otherwise. */
  leadsTo: text,
  /** Names of rules that note it. */
  logged: v.array(text),
  sentence: text,
})
export type AccessView = v.InferOutput<typeof AccessView>

export const OnceView = v.object({ files: v.array(FileRuleSchema), registry: v.array(RegistryRuleSchema) })
export type OnceView = v.InferOutput<typeof OnceView>

/** A folder of this host, for choosing one. */
export const HostFolderView = v.object({
  path: text,
  /** '' at the top. */
  parent: text,
  /** Names of the folders in it, hidden ones last; at most 1000. */
  folders: v.array(text),
  /** Whether there are more. */
  cut: v.boolean(),
})
export type HostFolderView = v.InferOutput<typeof HostFolderView>

/**
 * - `keychain`: the system's keychain guards the key
 * - `passphrase`: a person has to give it after each start
 * - `file`: the key lies beside the data: whoever reads the data folder can read everything
 */
export const KEY_PROTECTIONS = ['keychain', 'passphrase', 'file'] as const
export type KeyProtection = (typeof KEY_PROTECTIONS)[number]

export const KeysView = v.object({
  protection: v.picklist(KEY_PROTECTIONS),
  /** The passphrase has not been given yet: sealed domains cannot start. */
  locked: v.boolean(),
  /** Whether this shell has a keychain, and why not. */
  keychain: v.object({ usable: v.boolean(), name: text, reason: text }),
  /** Keys of other data folders that were imported. */
  imported: v.number(),
  /** What is protected, and what is not: one sentence each. */
  protects: v.array(text),
  leaves: v.array(text),
})
export type KeysView = v.InferOutput<typeof KeysView>
