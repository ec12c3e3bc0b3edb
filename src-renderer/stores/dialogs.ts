import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import type { FileChangeView } from '../../src-main/contract'

export interface Question {
  title: string
  text: string
  /** The verb on the button that goes ahead. */
  action: string
  /** Nothing is lost by going ahead; it only wants a second look. */
  calm?: boolean
}

/** Changes of a guest that are to go into a folder of the host. */
export interface ApplyQuestion {
  share: string
  folder: string
  changes: readonly FileChangeView[]
}

export type OpenDialog =
  | { kind: 'new'; imageId: string }
  | { kind: 'import'; files: File[] }
  | { kind: 'settings' }
  | { kind: 'rename'; id: string }
  | { kind: 'clone'; id: string }
  | { kind: 'export'; id: string }
  | { kind: 'snapshot'; id: string }
  | { kind: 'edit-snapshot'; id: string; snapshotId: string }
  | { kind: 'revert'; id: string; snapshotId: string }
  | { kind: 'add-disk'; id: string; what: 'disk' | 'cdrom' }
  | { kind: 'grow-disk' | 'insert-cd'; id: string; disk: string; bytes: number }
  | { kind: 'mirror' }
  /** `segments` can be captured whole. */
  | { kind: 'capture'; segments: readonly string[] }
  /** `folder` is '' when none was chosen yet. */
  | { kind: 'share'; id: string; folder: string }
  | { kind: 'apply'; question: ApplyQuestion; answer: (force: boolean | null) => void }
  | { kind: 'question'; question: Question; answer: (yes: boolean) => void }

/** The one dialog that is open. */
export const useDialogs = defineStore('dialogs', () => {
  const open = shallowRef<OpenDialog | null>(null)

  function show(dialog: OpenDialog): void {
    close()
    open.value = dialog
  }

  /** An unanswered question is answered with no. */
  function close(): void {
    const closing = open.value
    open.value = null
    if (closing?.kind === 'question') closing.answer(false)
    if (closing?.kind === 'apply') closing.answer(null)
  }

  /** Asks before something is lost. */
  function ask(question: Question): Promise<boolean> {
    return new Promise((answer) => show({ kind: 'question', question, answer }))
  }

  /** Asks before changes go to the host: null for no, else whether to overwrite what has changed there too. */
  async function askApply(question: ApplyQuestion): Promise<{ force: boolean } | null> {
    const force = await new Promise<boolean | null>((answer) => show({ kind: 'apply', question, answer }))
    return force === null ? null : { force }
  }

  return { open, show, close, ask, askApply }
})
