import type { FileName } from './provider'

/**
 * Patterns of paths, walked one name at a time. Names are compared as text in composed form (NFC), so that an accent is
 * the same however it is spelled; bytes that are no UTF-8 are characters of their own, which no pattern can spell and '?'
 * and '*' match.
 */

/** One name of a pattern, as a list of characters; null for '**'. */
type Part = readonly string[] | null

export interface PathPattern {
  readonly parts: readonly Part[]
  readonly ignoreCase: boolean
}

/** How far a pattern has come: places of its parts that the next name is compared with; 'matched' for ever after. */
export type Progress = readonly number[] | 'matched'

/** A name, ready to be compared with any number of patterns. */
export interface ReadName {
  readonly exact: readonly string[]
  readonly folded: readonly string[]
}

export function compilePattern(text: string, ignoreCase: boolean): PathPattern {
  const names = text.split('/').filter((name) => name !== '')
  const parts = names.map((name): Part => (name === '**' ? null : charactersOf(name, ignoreCase)))
  return { parts: text.startsWith('/') ? parts : [null, ...parts], ignoreCase }
}

/** At the top of a share. */
export function beginPattern({ parts }: PathPattern): Progress {
  return reach(parts, [0])
}

/** In what has this name, and lies where the pattern had come so far. */
export function stepPattern(pattern: PathPattern, progress: Progress, name: ReadName): Progress {
  if (progress === 'matched' || progress.length === 0) return progress
  const { parts, ignoreCase } = pattern
  const characters = ignoreCase ? name.folded : name.exact
  const next: number[] = []
  for (const at of progress) {
    const part = parts[at]
    if (part === null) next.push(at)
    else if (part && matches(part, characters)) next.push(at + 1)
  }
  return reach(parts, next)
}

/** '**' may stand for no folder at all. */
function reach(parts: readonly Part[], places: readonly number[]): Progress {
  const reached = new Set<number>()
  for (const place of places) {
    let at = place
    reached.add(at)
    while (parts[at] === null) reached.add(++at)
  }
  return reached.has(parts.length) ? 'matched' : [...reached].sort((a, b) => a - b)
}

/** The one name that may lead on, and to a match, at a place in a pattern without '**'; null when it is not just one. */
export function lastLiteral({ parts, ignoreCase }: PathPattern, progress: Progress): FileName | null {
  if (progress === 'matched' || ignoreCase || parts.includes(null)) return null
  const part = progress[0] === parts.length - 1 ? parts[progress[0]] : undefined
  if (!part || part.includes('*') || part.includes('?')) return null
  return Buffer.from(part.join(''), 'utf8').toString('latin1')
}

/** '*' and '?' in time of the product of both lengths at worst: only the last '*' is ever tried again. */
function matches(part: readonly string[], name: readonly string[]): boolean {
  let [at, star, retry] = [0, -1, 0]
  for (let index = 0; index < name.length;) {
    if (part[at] === '*') {
      star = at++
      retry = index
    } else if (at < part.length && (part[at] === '?' || part[at] === name[index])) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++retry
    } else return false
  }
  while (part[at] === '*') at++
  return at === part.length
}

export function readName(name: FileName): ReadName {
  const text = textOf(name)
  return { exact: charactersOf(text, false), folded: charactersOf(text, true) }
}

function charactersOf(text: string, ignoreCase: boolean): readonly string[] {
  return Array.from((ignoreCase ? text.toUpperCase().toLowerCase() : text).normalize('NFC'))
}

/** A byte that is no UTF-8 becomes half a surrogate pair, which no other text holds. */
function textOf(name: FileName): string {
  if (!/[\x80-\xff]/.test(name)) return name
  const whole = decode(name)
  if (whole !== null) return whole
  let text = ''
  for (let at = 0; at < name.length;) {
    const character = [1, 2, 3, 4].map((length) => decode(name.slice(at, at + length))).find((each) => each !== null)
    text += character ?? String.fromCharCode(0xdc00 + name.charCodeAt(at))
    at += character === undefined ? 1 : Buffer.byteLength(character)
  }
  return text
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(bytes: string): string | null {
  try {
    return utf8.decode(Buffer.from(bytes, 'latin1'))
  } catch {
    return null
  }
}

/** A pattern for this very path, or as nearly so as patterns can say: '?' for what they cannot spell. */
export function patternFor(path: string): string {
  const names = path.split('/').map((name) => textOf(name).replace(/[*\ud800-\udfff]/gu, '?'))
  return names.join('/') || '/'
}
