import { safeText, type CallResult } from '../contract'

/** What would happen to a path or a key, use by use. */
export function accessText({ sentence, uses }: CallResult<'files.explain'>): string {
  const lines = uses.map(({ use, allowed, rule }) => {
    return `${use}: ${allowed ? 'allowed' : 'refused'}${rule === '' ? '' : ` by '${safeText(rule)}'`}`
  })
  return [safeText(sentence, 4000), ...lines].join('\n')
}
