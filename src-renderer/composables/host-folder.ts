import { safeText, ShareNameSchema } from '../../src-main/contract'
import { faultOf } from './form-faults'

/** Paths of the host, which may be another kind of system than the one that this window is on. */

const SHARE_NAME_LENGTH = 31

const isWindows = (path: string): boolean => /^([A-Za-z]:|\\\\)/.test(path)
const separator = (path: string): string => (isWindows(path) ? '\\' : '/')

export interface Crumb {
  word: string
  path: string
}

/** The folders that a path leads through, from the top; the last is the path itself. */
export function crumbsOf(path: string): Crumb[] {
  const line = separator(path)
  const parts = path.split(isWindows(path) ? /[\\/]+/ : /\/+/).filter(Boolean)
  const top: Crumb[] = isWindows(path) ? [] : [{ word: '/', path: '/' }]
  const below = parts.map((word, index) => {
    const joined = parts.slice(0, index + 1).join(line)
    // a drive without a separator is the folder that a program of it is in
    const whole = isWindows(path) ? (index === 0 ? `${joined}${line}` : joined) : `/${joined}`
    return { word: safeText(word), path: whole }
  })
  return [...top, ...below]
}

/** The folder `name` in the folder `path`. */
export function joined(path: string, name: string): string {
  const line = separator(path)
  return path.endsWith(line) ? `${path}${name}` : `${path}${line}${name}`
}

/** A name for a share of this folder that no other share of the domain has. */
export function shareNameFor(folder: string, taken: readonly string[]): string {
  const last = folder.split(isWindows(folder) ? /[\\/:]+/ : /\/+/).findLast(Boolean) ?? ''
  const plain = last
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+|-+$/g, '')
  const stem = plain.slice(0, SHARE_NAME_LENGTH) || 'share'
  const lower = new Set(taken.map((name) => name.toLowerCase()))
  for (let number = 1; ; number++) {
    const ending = number === 1 ? '' : `-${number}`
    const name = `${stem.slice(0, SHARE_NAME_LENGTH - ending.length)}${ending}`
    if (!lower.has(name.toLowerCase())) return name
  }
}

/** What is wrong with the name of a new share, or ''. */
export function shareNameFault(name: string, taken: readonly string[]): string {
  const twin = taken.some((other) => other.toLowerCase() === name.toLowerCase())
  return faultOf(ShareNameSchema, name) || (twin ? 'Another share of this domain has this name.' : '')
}
