import * as v from 'valibot'
import { IdSchema } from '../../vmm/model/id'
import { SandboxPolicySchema } from '../../vmm/model/policy'
import { HostFolderSchema, SHARE_MODES, ShareNameSchema } from '../../vmm/model/share'
import { byDomain, call, nothing } from './call'
import {
  AccessView,
  FileChangesView,
  FileDenialView,
  FileSidesView,
  FilesView,
  HostFolderView,
  KEY_PROTECTIONS,
  KeysView,
  OnceView,
} from './file-views'
import { TaskView } from './views'

/** Most changes that one call lists, or names. */
export const CHANGES_MOST = 5000
/** Of each side of a changed file, bytes. */
export const SIDE_BYTES = 256 * 1024

const share = { id: IdSchema, shareId: IdSchema }
const changeKeys = v.pipe(
  v.array(v.pipe(v.string(), v.maxLength(8192))),
  v.minLength(1, 'Choose a change.'),
  v.maxLength(CHANGES_MOST),
)
const passphrase = v.pipe(
  v.string('A passphrase is text.'),
  v.minLength(8, 'A passphrase has at least 8 characters.'),
  v.maxLength(1000),
)

/** Calls about shares, their changes, rates, and the keys that seal what is kept. */
export const FILE_CALLS = {
  'files.get': call(byDomain, FilesView),
  /** Attaches a folder of this host, at once, also while the guest runs. */
  'files.addShare': call(
    v.strictObject({
      id: IdSchema,
      folder: HostFolderSchema,
      /** Made of the folder's name when left out. */
      name: v.optional(ShareNameSchema),
      mode: v.optional(v.picklist(SHARE_MODES), 'copy-on-write'),
      mounted: v.optional(v.boolean(), true),
    }),
    FilesView,
  ),
  'files.updateShare': call(
    v.strictObject({
      ...share,
      name: v.optional(ShareNameSchema),
      mode: v.optional(v.picklist(SHARE_MODES)),
      attached: v.optional(v.boolean()),
      mounted: v.optional(v.boolean()),
    }),
    FilesView,
  ),
  /** Removes a share with what is kept of it; the host's folder stays as it is. */
  'files.removeShare': call(v.strictObject(share), FilesView),
  /** Has the guest's agent mount what is not mounted. */
  'files.mount': call(byDomain, FilesView),

  /** What the guest changed since the share was added, or since a snapshot, in order of the paths. */
  'files.changes': call(
    v.strictObject({
      ...share,
      /** Only what lies in this folder. */
      under: v.optional(v.pipe(v.string(), v.maxLength(8192)), ''),
      limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(CHANGES_MOST)), 1000),
    }),
    FileChangesView,
  ),
  /** Both sides of a changed file, at most 256 KiB of each. */
  'files.sides': call(v.strictObject({ ...share, key: v.pipe(v.string(), v.maxLength(8192)) }), FileSidesView),
  /** Brings changes to the host's folder. A file that has changed there too is left alone unless `force`. */
  'files.apply': call(v.strictObject({ ...share, keys: changeKeys, force: v.optional(v.boolean(), false) }), TaskView),
  /** Throws changes away. */
  'files.discard': call(v.strictObject({ ...share, keys: changeKeys }), TaskView),

  /** The newest 200 denials of files and of the registry, oldest first. */
  'files.denials': call(byDomain, v.array(FileDenialView)),
  /** Allows what a denial refused until the machine ends. */
  'files.allowOnce': call(v.strictObject({ id: IdSchema, seq: v.number() }), OnceView),
  'files.once': call(byDomain, OnceView),
  /** Takes back all that was allowed once. */
  'files.forgetOnce': call(byDomain, OnceView),
  /** What would happen to a path, by the stored policy or by the one given. */
  'files.explain': call(
    v.strictObject({
      id: IdSchema,
      policy: v.optional(SandboxPolicySchema),
      share: ShareNameSchema,
      path: v.pipe(v.string(), v.maxLength(4096)),
    }),
    AccessView,
  ),
  /** The folders in a folder of this host; the person's own when no path is given. */
  'files.hostFolders': call(v.strictObject({ path: v.optional(HostFolderSchema) }), HostFolderView),

  'keys.get': call(nothing, KeysView),
  'keys.unlock': call(v.strictObject({ passphrase }), KeysView),
  /** Guards the key in another way; what is sealed stays as it is. */
  'keys.protect': call(
    v.strictObject({ protection: v.picklist(KEY_PROTECTIONS), passphrase: v.optional(passphrase) }),
    KeysView,
  ),
  /** Writes all keys to a file, sealed by a passphrase of its own. */
  'keys.export': call(v.strictObject({ path: HostFolderSchema, passphrase }), KeysView),
  'keys.import': call(v.strictObject({ path: HostFolderSchema, passphrase }), KeysView),
} as const
