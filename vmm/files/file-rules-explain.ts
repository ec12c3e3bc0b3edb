import type { FileRule } from '../model/policy-files'
import type { ShareMode } from '../model/share'
import { FileRules, NO_FILE_RULE, type FileUse, type FileVerdict } from './file-rules'

export interface FileQuestion {
  /** Name of a share, and how it is attached. */
  share: string
  mode: ShareMode
  /** From the top of the share. */
  path: string
  /** Rules that hold for this run only, before all others. */
  once: readonly FileRule[]
}

/** What would happen to a path. */
export interface AccessExplanation {
  /** The deciding rule with its place in the policy; '' and -1 where the share's mode decides, -1 for one allowed once. */
  uses: { use: FileUse; allowed: boolean; rule: string; index: number }[]
  /** Where it leads by a redirect, 'SHARE:/path'; '' otherwise. */
  leadsTo: string
  /** Names of rules that note it. */
  logged: string[]
  sentence: string
}

const USES = ['see', 'read', 'change'] as const
const ALLOWED: Readonly<Record<FileVerdict['action'], readonly FileUse[]>> = {
  allow: ['see', 'read', 'change'],
  'read-only': ['see', 'read'],
  deny: ['see'],
  hide: [],
  redirect: [],
}

const REDIRECTS_MOST = 8

/** Which rule decides what a guest may do with a path, whether something is there or not. */
export function explainFile(rules: readonly FileRule[], { share, mode, path, once }: FileQuestion): AccessExplanation {
  const asked = { share, names: path.split('/').filter((name) => name !== '') }
  const steps = follow(new FileRules(rules, once), asked)
  const { verdict, at } = steps.at(-1)!
  const isLed = steps.length > 1
  // how the share that a redirect leads to is attached, is told by its own places
  const uses = USES.map((use) => explainUse(verdict, isLed ? null : mode, use))
  const logged = [...new Set(steps.flatMap((step) => step.verdict.logged.map(({ rule }) => rule)))]
  const led = steps
    .slice(0, -1)
    .map((step, index) => `${step.at} is ${steps[index + 1]!.at} by '${step.verdict.rule}'. `)
  const sentence = `${led.join('')}${sentenceOf(at, verdict, isLed ? null : mode)}`
  return { uses, leadsTo: isLed ? at : '', logged, sentence }
}

interface Place {
  share: string
  names: string[]
}

/** What decides at a place, and where a redirect leads to from there, step by step to the end. */
function follow(rules: FileRules, asked: Place): { at: string; verdict: FileVerdict }[] {
  const steps: { at: string; verdict: FileVerdict }[] = []
  for (let place: Place | null = asked; place && steps.length <= REDIRECTS_MOST;) {
    const { share, names }: Place = place
    let path = rules.top(share)
    let depth = 0
    while (depth < names.length && !path.verdict.to) path = rules.below(path, bytesOf(names[depth++]!))
    const { verdict } = path
    steps.push({ at: `${share}:/${names.join('/')}`, verdict })
    const { to } = verdict
    place = to && { share: to.share, names: [...to.path.split('/').filter(Boolean), ...names.slice(depth)] }
  }
  return steps
}

function bytesOf(name: string): string {
  return Buffer.from(name, 'utf8').toString('latin1')
}

function explainUse(
  { action, rule, index }: FileVerdict,
  mode: ShareMode | null,
  use: FileUse,
): AccessExplanation['uses'][0] {
  if (!ALLOWED[action].includes(use)) return { use, allowed: false, rule, index }
  const isKept = use === 'change' && mode === 'read-only' && action === 'allow'
  return isKept ? { use, allowed: false, rule: NO_FILE_RULE, index: -1 } : { use, allowed: true, rule, index }
}

function sentenceOf(place: string, { action, rule }: FileVerdict, mode: ShareMode | null): string {
  const by = rule === NO_FILE_RULE ? 'no rule decides' : `'${rule}' decides`
  if (action === 'redirect') return `${place} is not there for the guest: redirects lead to each other.`
  if (action === 'hide') return `${place} is not there for the guest: ${by}.`
  if (action === 'deny') return `${place} is listed, and every use of it is refused: ${by}.`
  if (action === 'read-only') return `${place} can be read and not changed: ${by}.`
  if (mode === 'read-only') return `${place} can be read and not changed: ${by}, and the share is read-only.`
  return `${place} can be read and changed: ${by}.`
}
