import * as v from 'valibot'
import { NameSchema } from './domain-name'
import { ShareNameSchema } from './share'

/** The section `files` of a sandbox policy: what a guest sees and may do in its shares. */

/**
 * - `allow`: as the share's mode says
 * - `hide`: it is not there; making it is refused with EACCES
 * - `read-only`: it can be read, changing it is refused with EROFS
 * - `deny`: it is listed, every use is refused with EACCES
 * - `redirect`: the guest sees another tree at that place
 * - `quota`: what lies there may not grow beyond an amount (EDQUOT); decides nothing else
 * - `log`: uses are noted; decides nothing
 */
export const FILE_ACTIONS = ['allow', 'hide', 'read-only', 'deny', 'redirect', 'quota', 'log'] as const
export type FileAction = (typeof FILE_ACTIONS)[number]
export const FILE_RULES_MOST = 200
const PATTERNS_MOST = 64
const PATTERN_LENGTH = 1024
/** A place in a share: `NAME:/path`. */
const PLACE = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,30}):(\/.*)$/

/**
 * A pattern of paths within a share. `/a/b` begins at the top of the share, `b` or `b/c` at any depth. `*` and `?` stand
 * for what has no '/', `**` for any number of folders. What lies in a folder that matches, matches too.
 */
export const PathPatternSchema = v.pipe(
  v.string('A path is text, such as "/secret" or "*.key".'),
  v.minLength(1, 'A path is not empty.'),
  v.maxLength(PATTERN_LENGTH, `A path has at most ${PATTERN_LENGTH} characters.`),
  v.check((text) => !text.includes('\0'), 'A path cannot hold a NUL character.'),
  v.check(
    (text) => !text.split('/').some((part) => part === '.' || part === '..'),
    'A path goes down only: "." and ".." are no part of it.',
  ),
  v.description('"/a/b" from the top of the share, "b" at any depth; "*" and "?" within a name, "**" across folders.'),
)

export interface SharePlace {
  share: string
  /** From the top of the share, such as '/a/b'. */
  path: string
}

/** Reads `NAME:/path`; null for what is none. */
export function parseSharePlace(text: string): SharePlace | null {
  const [, share, path] = PLACE.exec(text) ?? []
  if (share === undefined || path === undefined) return null
  const parts = path.split('/').filter((part) => part !== '')
  if (parts.some((part) => part === '.' || part === '..')) return null
  return { share, path: `/${parts.join('/')}` }
}

const amount = (description: string) =>
  v.optional(
    v.pipe(
      v.number('A quota is a number.'),
      v.integer('A quota is a whole number.'),
      v.minValue(0, 'A quota is at least 0.'),
      v.maxValue(Number.MAX_SAFE_INTEGER),
      v.description(description),
    ),
    0,
  )

export const FileRuleSchema = v.pipe(
  v.strictObject({
    name: v.pipe(NameSchema, v.description('Tells the rule from the others, in the log and beside every denial.')),
    action: v.pipe(
      v.picklist(FILE_ACTIONS, `The action is one of: ${FILE_ACTIONS.join(', ')}.`),
      v.description('"log" and "quota" leave the decision to the rules after them.'),
    ),
    shares: v.optional(
      v.pipe(v.array(ShareNameSchema), v.maxLength(PATTERNS_MOST), v.description('Names of shares; none for all.')),
      [],
    ),
    paths: v.pipe(
      v.array(PathPatternSchema),
      v.minLength(1, 'A rule names at least one path, such as "**".'),
      v.maxLength(PATTERNS_MOST, `A rule names at most ${PATTERNS_MOST} paths.`),
      v.description('Any of these.'),
    ),
    ignoreCase: v.optional(v.pipe(v.boolean(), v.description('Whether "A" matches "a".')), false),
    to: v.optional(
      v.pipe(
        v.string(),
        v.maxLength(PATTERN_LENGTH),
        v.check((text) => text === '' || parseSharePlace(text) !== null, 'A place is "SHARE:/path".'),
        v.description('Of a redirect: the place that is seen instead, "SHARE:/path"; the share must be attached.'),
      ),
      '',
    ),
    bytes: amount('Of a quota: bytes that may lie there; 0 for no limit.'),
    files: amount('Of a quota: files and folders that may lie there; 0 for no limit.'),
  }),
  v.forward(
    v.check(
      ({ action, to }) => (action === 'redirect') === (to !== ''),
      'A redirect, and nothing else, says where to.',
    ),
    ['to'],
  ),
  v.forward(
    v.check(
      ({ action, bytes, files }) => (action === 'quota') === bytes + files > 0,
      'A quota, and nothing else, says how much.',
    ),
    ['bytes'],
  ),
  v.description('What the guest may do with some paths.'),
)
export type FileRule = v.InferOutput<typeof FileRuleSchema>
export type FileRuleInput = v.InferInput<typeof FileRuleSchema>

export const FilesSection = v.strictObject({
  rules: v.optional(
    v.pipe(
      v.array(FileRuleSchema),
      v.maxLength(FILE_RULES_MOST, `A policy has at most ${FILE_RULES_MOST} rules for files.`),
      v.check((rules) => new Set(rules.map(({ name }) => name)).size === rules.length, 'Two rules have the same name.'),
      v.description(
        'In order: the first that matches and is neither "log" nor "quota" decides; what none decides is allowed as the share is.',
      ),
    ),
    [],
  ),
})
