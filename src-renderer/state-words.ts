import type { DomainState, Isolation } from '../src-main/contract'

/** The words and sentences in which states and isolation are told. */

const STATE_WORDS: Record<DomainState, string> = {
  off: 'Off',
  starting: 'Starting',
  running: 'Running',
  paused: 'Paused',
  stopping: 'Shutting down',
  saving: 'Saving',
  saved: 'Saved',
  crashed: 'Crashed',
  damaged: 'Damaged',
}

export const stateWord = (state: DomainState): string => STATE_WORDS[state]

export const isLive = (state: DomainState): boolean => state === 'running' || state === 'paused'
export const isMoving = (state: DomainState): boolean =>
  state === 'starting' || state === 'stopping' || state === 'saving'

interface IsolationWords {
  word: string
  /** For the badge, where room is scarce. */
  short: string
  promise: string
}

const ISOLATION_WORDS: Record<Isolation, IsolationWords> = {
  wasm: {
    word: 'WebAssembly',
    short: 'Wasm',
    promise:
      'The whole PC is emulated in WebAssembly, in a process of its own. The guest runs no code on your processor directly.',
  },
  emulated: {
    word: 'Emulated',
    short: 'Emulated',
    promise:
      'QEMU translates the guest’s code. QEMU promises no isolation in this mode: do not run hostile guests here.',
  },
  hardware: {
    word: 'Hardware',
    short: 'Hardware',
    promise: 'The processor’s virtualization keeps the guest apart from the host (KVM, HVF or WHPX).',
  },
}

export const isolationWords = (isolation: Isolation): IsolationWords => ISOLATION_WORDS[isolation]
