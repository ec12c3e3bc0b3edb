import type { FileDenialView, FileRule, RegistryRule } from '../../src-main/contract'
import { newRuleOf, type DraftRule } from './policy-draft'

/** What a rule must allow, for what a rule for files or the registry refused. */
export type AccessWish = { section: 'files'; share: string; path: string } | { section: 'registry'; path: string }

export const accessWishOf = ({ kind, share, path }: FileDenialView): AccessWish =>
  kind === 'file' ? { section: 'files', share, path } : { section: 'registry', path }

/** The same as it came through an address of a page, where anything may stand. */
export function accessWishFrom({ section, share, path }: Record<string, unknown>): AccessWish | null {
  if (typeof path !== 'string' || path === '') return null
  if (section === 'files') return { section, share: typeof share === 'string' ? share : '', path }
  return section === 'registry' ? { section, path } : null
}

/** A rule that allows exactly what was refused; it has to stand before the one that refused it. */
export function ruleForAccess(wish: AccessWish, rules: readonly DraftRule[]): FileRule | RegistryRule {
  const last = wish.path.split(/[/\\]/).findLast(Boolean) ?? wish.path
  const name = `Allow ${last}`
  if (wish.section === 'registry') return newRuleOf('registry', rules, { name, action: 'allow', keys: [wish.path] })
  const shares = wish.share ? [wish.share] : []
  return newRuleOf('files', rules, { name, action: 'allow', shares, paths: [wish.path] })
}
