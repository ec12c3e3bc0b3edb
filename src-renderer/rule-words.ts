import type { AnyRule, RuleOf, Section } from './composables/policy-draft'
import { FILE_ACTION_WORDS, fileRuleSummary, REGISTRY_ACTION_WORDS, registryRuleSummary } from './file-words'
import { ACTION_WORDS, ruleSummary } from './network-words'

/** How the rules of each section of a policy are told. */

interface SectionWords {
  word: string
  actions: Record<string, { word: string; note: string }>
  /** What happens to what no rule decides. */
  rest: { tone: 'deny' | 'allow'; text: string; alone: string }
  /** What it means that there is no rule. */
  none: string
}

export const SECTION_WORDS: Record<Section, SectionWords> = {
  network: {
    word: 'Network',
    actions: ACTION_WORDS,
    rest: { tone: 'deny', text: 'Everything else is denied.', alone: 'No rules: everything is denied.' },
    none: 'This guest gets an address and the name of its gateway, and reaches nobody. Add a rule to allow something.',
  },
  files: {
    word: 'Files',
    actions: FILE_ACTION_WORDS,
    rest: {
      tone: 'allow',
      text: 'Everything else: as the mode of the share says.',
      alone: 'No rules: everything as the mode of the share says.',
    },
    none: 'The guest may use its shares as their modes say. Add a rule to hide, protect or limit some paths.',
  },
  registry: {
    word: 'Registry',
    actions: REGISTRY_ACTION_WORDS,
    rest: { tone: 'allow', text: 'Everything else is allowed.', alone: 'No rules: everything is allowed.' },
    none: 'The guest may read and change all of its registry. Add a rule to hide or protect some keys.',
  },
}

const SUMMARIES: { [S in Section]: (rule: RuleOf[S]) => string } = {
  network: ruleSummary,
  files: fileRuleSummary,
  registry: registryRuleSummary,
}

/** What a rule of this section holds for. */
export const summaryOf = (section: Section, rule: AnyRule): string =>
  (SUMMARIES[section] as (rule: AnyRule) => string)(rule)

export const actionWord = (section: Section, rule: AnyRule): string =>
  SECTION_WORDS[section].actions[rule.action]?.word ?? rule.action
