import { structuredPatch } from 'diff'
import { safeText } from '../../src-main/contract'

export interface DiffLine {
  kind: 'same' | 'added' | 'removed' | 'gap'
  text: string
  /** Number of the line on each side, from 1; 0 where there is none. */
  before: number
  after: number
}

export interface TextDiff {
  lines: DiffLine[]
  added: number
  removed: number
  /** Whether more differs than `lines` tells. */
  cut: boolean
}

/** Lines that stay as they are, shown around each change. */
const CONTEXT = 3
const LINES_MOST = 2000
const LINE_LENGTH = 1000
/** Texts that differ by more lines than this are told as two texts: comparing them would take long. */
const EDITS_MOST = 2000

/** How two texts differ, line by line. */
export function textDiff(before: string, after: string): TextDiff {
  const patch = structuredPatch('', '', before, after, '', '', { context: CONTEXT, maxEditLength: EDITS_MOST })
  const hunks = patch?.hunks ?? [wholeHunk(before, after)]
  const lines: DiffLine[] = []
  const sum = { added: 0, removed: 0 }
  for (const hunk of hunks) {
    let [old, fresh] = [hunk.oldStart, hunk.newStart]
    if (lines.length > 0 || old > 1) lines.push({ kind: 'gap', text: '', before: old, after: fresh })
    for (const line of hunk.lines) {
      const text = safeText(line.slice(1).replaceAll('\t', '    ').replace(/\r$/, ''), LINE_LENGTH)
      if (line.startsWith('+')) {
        lines.push({ kind: 'added', text, before: 0, after: fresh++ })
        sum.added += 1
      } else if (line.startsWith('-')) {
        lines.push({ kind: 'removed', text, before: old++, after: 0 })
        sum.removed += 1
      } else if (line.startsWith(' ')) lines.push({ kind: 'same', text, before: old++, after: fresh++ })
    }
  }
  return { lines: lines.slice(0, LINES_MOST), ...sum, cut: lines.length > LINES_MOST }
}

/** All of one side goes, all of the other comes. */
function wholeHunk(before: string, after: string): { oldStart: number; newStart: number; lines: string[] } {
  const marked = (text: string, mark: string) => linesOf(text).map((line) => `${mark}${line}`)
  return { oldStart: 1, newStart: 1, lines: [...marked(before, '-'), ...marked(after, '+')] }
}

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))
