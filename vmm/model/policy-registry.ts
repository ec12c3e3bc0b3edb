import * as v from 'valibot'
import { NameSchema } from './domain-name'

/** The section `registry` of a sandbox policy: what a guest sees and may change of its Windows registry. */

/**
 * - `allow`: as if there were no rule
 * - `hide`: it is not there
 * - `read-only`: it can be read and not changed
 * - `deny`: it is listed, every use is refused
 * - `redirect`: another key is seen at that place
 * - `log`: uses are noted; decides nothing
 */
export const REGISTRY_ACTIONS = ['allow', 'hide', 'read-only', 'deny', 'redirect', 'log'] as const
export type RegistryAction = (typeof REGISTRY_ACTIONS)[number]
export const REGISTRY_RULES_MOST = 200
const PATTERNS_MOST = 64
const PATTERN_LENGTH = 2048

export const REGISTRY_ROOTS = ['HKLM', 'HKU', 'HKCU', 'HKCR'] as const
export type RegistryRoot = (typeof REGISTRY_ROOTS)[number]
const ROOT = new RegExp(`^(${REGISTRY_ROOTS.join('|')})(\\\\|$)`, 'i')

/** A pattern of keys: `HKLM\Software\*\Run`. `*` and `?` within a name, `**` across keys; case never matters. */
export const KeyPatternSchema = v.pipe(
  v.string('A key is text, such as "HKLM\\Software\\Example".'),
  v.maxLength(PATTERN_LENGTH, `A key has at most ${PATTERN_LENGTH} characters.`),
  v.regex(ROOT, `A key begins with one of: ${REGISTRY_ROOTS.join(', ')}.`),
  v.check((text) => !text.includes('\0'), 'A key cannot hold a NUL character.'),
  v.description(
    '"HKLM\\Software\\Example"; "*" and "?" within a name, "**" across keys. Keys below a match, match too.',
  ),
)

export const RegistryRuleSchema = v.pipe(
  v.strictObject({
    name: v.pipe(NameSchema, v.description('Tells the rule from the others, in the log and beside every denial.')),
    action: v.pipe(
      v.picklist(REGISTRY_ACTIONS, `The action is one of: ${REGISTRY_ACTIONS.join(', ')}.`),
      v.description('"log" leaves the decision to the rules after it.'),
    ),
    keys: v.pipe(
      v.array(KeyPatternSchema),
      v.minLength(1, 'A rule names at least one key, such as "HKLM\\**".'),
      v.maxLength(PATTERNS_MOST, `A rule names at most ${PATTERNS_MOST} keys.`),
      v.description('Any of these.'),
    ),
    to: v.optional(
      v.pipe(
        v.string(),
        v.maxLength(PATTERN_LENGTH),
        v.check((text) => text === '' || (ROOT.test(text) && !/[*?]/.test(text)), 'A redirect leads to one key.'),
        v.description('Of a redirect: the key that is seen instead.'),
      ),
      '',
    ),
  }),
  v.forward(
    v.check(
      ({ action, to }) => (action === 'redirect') === (to !== ''),
      'A redirect, and nothing else, says where to.',
    ),
    ['to'],
  ),
  v.description('What the guest may do with some keys.'),
)
export type RegistryRule = v.InferOutput<typeof RegistryRuleSchema>
export type RegistryRuleInput = v.InferInput<typeof RegistryRuleSchema>

export const RegistrySection = v.strictObject({
  rules: v.optional(
    v.pipe(
      v.array(RegistryRuleSchema),
      v.maxLength(REGISTRY_RULES_MOST, `A policy has at most ${REGISTRY_RULES_MOST} rules for the registry.`),
      v.check((rules) => new Set(rules.map(({ name }) => name)).size === rules.length, 'Two rules have the same name.'),
      v.description('In order: the first that matches and is no "log" decides; what none decides is allowed.'),
    ),
    [],
  ),
})
