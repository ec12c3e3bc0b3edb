import { formatPatch, structuredPatch } from 'diff'
import { safeText } from '../contract'

/** Texts that differ by more lines than this are not compared line by line: it would take long. */
const EDITS_MOST = 5000
const LINE_LENGTH = 4000

/** How a file differs, as `diff -u` tells it; null for a side that is not there. */
export function unifiedDiff(path: string, before: string | null, after: string | null): string {
  const names = [before === null ? '/dev/null' : `a${path}`, after === null ? '/dev/null' : `b${path}`] as const
  const patch = structuredPatch(...names, before ?? '', after ?? '', '', '', { maxEditLength: EDITS_MOST })
  if (!patch) return `${safeText(path, LINE_LENGTH)}: more than ${EDITS_MOST} lines differ.`
  if (patch.hunks.length === 0) return `The content of ${safeText(path, LINE_LENGTH)} is the same.`
  // a tab is the one control character that text has within a line
  const safe = (line: string): string =>
    line
      .split('\t')
      .map((part) => safeText(part, LINE_LENGTH))
      .join('\t')
  return formatPatch(patch).replace(/^=+\n/m, '').trimEnd().split('\n').map(safe).join('\n')
}
