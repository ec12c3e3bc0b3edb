import * as v from 'valibot'
import { IdSchema } from './id'

/**
 * - `read-only`: the guest sees the host's folder and changes nothing
 * - `copy-on-write`: the guest's changes are kept by Vivarium, sealed; the host's folder is never written
 * - `direct`: the guest's changes are the host's
 */
export const SHARE_MODES = ['read-only', 'copy-on-write', 'direct'] as const
export type ShareMode = (typeof SHARE_MODES)[number]
export const SHARES_MOST = 16

/** What a guest calls a share: also the name of the folder that it is mounted at. */
export const ShareNameSchema = v.pipe(
  v.string('The name of a share is text.'),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/,
    'A share is named with at most 31 letters, digits, dots, dashes and underscores, and begins with a letter or digit.',
  ),
)

/** An absolute path of this host. */
export const HostFolderSchema = v.pipe(
  v.string('A folder is text.'),
  v.minLength(1, 'Name a folder.'),
  v.maxLength(4096, 'This path is too long.'),
  v.check((text) => !text.includes('\0'), 'A path cannot hold a NUL character.'),
)

/** A folder of the host that a domain sees. */
export const ShareSchema = v.strictObject({
  id: IdSchema,
  name: ShareNameSchema,
  folder: HostFolderSchema,
  mode: v.picklist(SHARE_MODES, `A share is one of: ${SHARE_MODES.join(', ')}.`),
  /** A share that is not attached keeps its changes and is not seen by the guest. */
  attached: v.optional(v.boolean(), true),
  /** Whether the guest's agent mounts it at /mnt/NAME. */
  mounted: v.optional(v.boolean(), true),
})
export type Share = v.InferOutput<typeof ShareSchema>

export const SharesSchema = v.pipe(
  v.array(ShareSchema),
  v.maxLength(SHARES_MOST, `A domain has at most ${SHARES_MOST} shares.`),
  v.check(
    (shares) => new Set(shares.map(({ name }) => name.toLowerCase())).size === shares.length,
    'Two shares have the same name.',
  ),
)

/** The tree of the Windows registry, mounted as a share of this name: a name that no folder can have. */
export const REGISTRY_TREE = '@registry'

/** Where the guest's agent mounts a share. */
export const mountPoint = (name: string): string => `/mnt/${name === REGISTRY_TREE ? 'registry' : name}`
