import type { DomainState } from './domain'

/** Everything that can be done to a domain. The window, the CLI and main all read this one table. */
export const VERBS = [
  'start',
  'pause',
  'resume',
  'shutdown',
  'restart',
  'save',
  'forceOff',
  'discard',
  'snapshot',
  'revert',
  'clone',
  'export',
  'rename',
  'settings',
  'console',
  'display',
  'exec',
  'delete',
] as const
export type Verb = (typeof VERBS)[number]

export const VERB_LABELS: Record<Verb, string> = {
  start: 'Start',
  pause: 'Pause',
  resume: 'Resume',
  shutdown: 'Shut Down',
  restart: 'Restart',
  save: 'Save',
  forceOff: 'Force Off',
  discard: 'Discard Saved State',
  snapshot: 'Snapshot',
  revert: 'Revert',
  clone: 'Clone',
  export: 'Export',
  rename: 'Rename',
  settings: 'Settings',
  console: 'Console',
  display: 'Screen',
  exec: 'Run Command',
  delete: 'Delete',
}

const AT_REST: readonly DomainState[] = ['off', 'saved', 'crashed']
const LIVE: readonly DomainState[] = ['running', 'paused']

/** The states in which each verb is possible. */
export const VERB_TABLE: Record<Verb, readonly DomainState[]> = {
  start: AT_REST,
  pause: ['running'],
  resume: ['paused'],
  shutdown: ['running'],
  restart: ['running', 'paused'],
  save: LIVE,
  forceOff: ['starting', 'running', 'paused', 'stopping', 'saving'],
  discard: ['saved'],
  snapshot: [...AT_REST, ...LIVE],
  revert: [...AT_REST, ...LIVE],
  clone: [...AT_REST, ...LIVE],
  export: AT_REST,
  rename: [...AT_REST, ...LIVE, 'starting', 'stopping', 'saving'],
  settings: [...AT_REST, ...LIVE],
  console: ['starting', 'running', 'paused', 'stopping', 'saving', 'crashed', 'off', 'saved'],
  display: ['running', 'paused', 'stopping', 'saving'],
  exec: ['running'],
  delete: [...AT_REST, 'damaged'],
}

const STATE_PHRASES: Record<DomainState, string> = {
  off: 'it is off',
  starting: 'it is starting',
  running: 'it is running',
  paused: 'it is paused',
  stopping: 'it is shutting down',
  saving: 'it is being saved',
  saved: 'it is saved to disk',
  crashed: 'it has crashed',
  damaged: 'its record is damaged',
}

const NEXT_STEPS: Partial<Record<Verb, Partial<Record<DomainState, string>>>> = {
  start: { paused: 'Resume it instead.', running: '' },
  pause: { off: 'Start it first.', saved: 'Start it first.', crashed: 'Start it first.' },
  shutdown: { paused: 'Resume it first, or use Force Off.' },
  exec: { paused: 'Resume it first.', off: 'Start it first.', saved: 'Start it first.', crashed: 'Start it first.' },
  display: { off: 'Start it first.', saved: 'Start it first.', crashed: 'Start it first.' },
  export: { running: 'Shut it down first.', paused: 'Force it off first.' },
  delete: { running: 'Shut it down first.', paused: 'Force it off first.' },
}

export interface VerbVerdict {
  allowed: boolean
  /** Why not, one sentence with the next step; empty when allowed. */
  reason: string
}

/** Whether `verb` is possible on a domain in `state`, and if not, why not. */
export function verbVerdict(verb: Verb, state: DomainState): VerbVerdict {
  if (VERB_TABLE[verb].includes(state)) return { allowed: true, reason: '' }
  const next = NEXT_STEPS[verb]?.[state]
  const reason = `${VERB_LABELS[verb]} is not possible while ${STATE_PHRASES[state]}.`
  return { allowed: false, reason: next ? `${reason} ${next}` : reason }
}
