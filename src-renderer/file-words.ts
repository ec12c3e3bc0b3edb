import {
  safeText,
  type FileAction,
  type FileChangeView,
  type FileRule,
  type KeyProtection,
  type RegistryAction,
  type RegistryRule,
  type ShareMode,
} from '../src-main/contract'
import { plural, size } from './format'

/** The words and sentences in which shares, their rules and their keys are told. */

export const MODE_WORDS: Record<ShareMode, { word: string; note: string }> = {
  'copy-on-write': {
    word: 'Copy on write',
    note: 'The guest may change everything. Its changes are kept by Vivarium; the folder stays as it is until you apply them.',
  },
  'read-only': { word: 'Read-only', note: 'The guest sees the folder as it is and can change nothing.' },
  direct: { word: 'Direct', note: 'What the guest changes or deletes is changed and deleted in the folder, at once.' },
}
export const DIRECT_WARNING =
  'There is no way back: a guest that you do not trust can delete or alter everything in this folder.'

interface ActionWords {
  word: string
  note: string
}

export const FILE_ACTION_WORDS: Record<FileAction, ActionWords> = {
  allow: { word: 'Allow', note: 'As the mode of the share says.' },
  hide: { word: 'Hide', note: 'It is not there, and cannot be made.' },
  'read-only': { word: 'Read-only', note: 'It can be read and not changed.' },
  deny: { word: 'Deny', note: 'It is listed; every use of it is refused.' },
  redirect: { word: 'Redirect', note: 'The guest sees another place of a share there.' },
  quota: { word: 'Quota', note: 'What lies there may not grow beyond an amount; a rule further down decides.' },
  log: { word: 'Log', note: 'Uses are noted; a rule further down decides.' },
}

export const REGISTRY_ACTION_WORDS: Record<RegistryAction, ActionWords> = {
  allow: { word: 'Allow', note: 'As if there were no rule.' },
  hide: { word: 'Hide', note: 'It is not there.' },
  'read-only': { word: 'Read-only', note: 'It can be read and not changed.' },
  deny: { word: 'Deny', note: 'It is listed; every use of it is refused.' },
  redirect: { word: 'Redirect', note: 'The guest sees another key there.' },
  log: { word: 'Log', note: 'Uses are noted; a rule further down decides.' },
}

/** 'a +2': the first of several, and how many more. */
function firstOf(values: readonly string[]): string {
  const [first = '', ...more] = values
  return more.length > 0 ? `${first} +${more.length}` : first
}

/** 'docs · /secret +1 · up to 5 MiB': what a rule holds for. */
export function fileRuleSummary({ shares, paths, to, bytes, files }: FileRule): string {
  const quota = [...(bytes > 0 ? [size(bytes)] : []), ...(files > 0 ? [plural(files, 'file')] : [])]
  return [
    shares.length > 0 ? firstOf(shares) : 'all shares',
    firstOf(paths),
    to && `to ${to}`,
    quota.length > 0 ? `up to ${quota.join(', ')}` : '',
  ]
    .filter(Boolean)
    .join(' · ')
}

export const registryRuleSummary = ({ keys, to }: RegistryRule): string =>
  [firstOf(keys), to && `to ${to}`].filter(Boolean).join(' · ')

export const CHANGE_WORDS: Record<FileChangeView['kind'], { word: string; mark: string }> = {
  added: { word: 'added', mark: 'A' },
  changed: { word: 'changed', mark: 'C' },
  deleted: { word: 'deleted', mark: 'D' },
  attributes: { word: 'attributes changed', mark: 'P' },
  renamed: { word: 'renamed', mark: 'R' },
}

/** 'changed', 'renamed from /a/b'. */
export const changeSentence = ({ kind, from }: Pick<FileChangeView, 'kind' | 'from'>): string =>
  from ? `${CHANGE_WORDS[kind].word} from ${safeText(from, 1000)}` : CHANGE_WORDS[kind].word

/** '1.2 MiB → 3 MiB', or the one that is there; '' for what is no file. */
export function sizeChange({
  type,
  bytesBefore,
  bytesAfter,
}: Pick<FileChangeView, 'type' | 'bytesBefore' | 'bytesAfter'>): string {
  if (type !== 'file') return ''
  const sides = [bytesBefore, bytesAfter].filter((bytes) => bytes !== null).map(size)
  return sides[0] === sides[1] ? (sides[0] ?? '') : sides.join(' → ')
}

/** Of what people can do to a file or key: 'read', 'change' … as they stand in denials. */
export const USE_WORDS = { see: 'See it', read: 'Read it', change: 'Change it' } as const

export const PROTECTION_WORDS: Record<KeyProtection, { word: string; note: string }> = {
  keychain: {
    word: 'The keychain of this system',
    note: 'Whoever is logged in as you can open it. Nothing has to be typed.',
  },
  passphrase: {
    word: 'A passphrase',
    note: 'It is asked for after each start; until then, domains with sealed data cannot start. It cannot be recovered.',
  },
  file: {
    word: 'A file beside the data',
    note: 'Whoever can read the data folder can read everything in it: this protects only copies without that file.',
  },
}
