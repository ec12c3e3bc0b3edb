import { defineStore } from 'pinia'
import { shallowRef } from 'vue'

export interface Question {
  title: string
  text: string
  /** The verb on the button that goes ahead. */
  action: string
  /** Nothing is lost by going ahead; it only wants a second look. */
  calm?: boolean
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
  }

  /** Asks before something is lost. */
  function ask(question: Question): Promise<boolean> {
    return new Promise((answer) => show({ kind: 'question', question, answer }))
  }

  return { open, show, close, ask }
})
