import { Download, FilePen, FolderPlus, ShieldPlus, ShieldQuestion, ClipboardCopy, Trash2 } from 'lucide-vue-next'
import { computed, type Component } from 'vue'
import { copyText } from '../bridge'
import { useNotices } from '../stores/notices'

/** Something that can be done to the chosen key. */
export interface KeyAction {
  label: string
  icon: Component
  /** Of the tree, such as 'F2'; ''. */
  shortcut: string
  allowed: boolean
  /** Why it is not possible. */
  reason: string
  run(): void
}

/** What is done elsewhere. */
export interface KeyWork {
  create(parent: string): void
  rename(key: string): void
  remove(key: string): void
  exportBranch(key: string): void
  explain(key: string): void
  makeRule(key: string): void
}

/** What can be done to a key, in the order of a menu. */
export function useKeyActions(key: () => string, work: KeyWork) {
  const notices = useNotices()
  async function copy(): Promise<void> {
    const copied = await copyText(key())
    notices.say(copied ? 'Path copied' : 'The path could not be copied')
  }

  return computed<KeyAction[]>(() => {
    const path = key()
    const top = path.includes('\\') ? '' : 'It is the top of the registry.'
    const any = { allowed: true, reason: '' }
    const inner = { allowed: top === '', reason: top }
    return [
      { label: 'New key…', icon: FolderPlus, shortcut: 'Insert', ...any, run: () => work.create(path) },
      { label: 'Rename…', icon: FilePen, shortcut: 'F2', ...inner, run: () => work.rename(path) },
      { label: 'Delete…', icon: Trash2, shortcut: 'Delete', ...inner, run: () => work.remove(path) },
      { label: 'Copy path', icon: ClipboardCopy, shortcut: '', ...any, run: () => void copy() },
      { label: 'Export branch…', icon: Download, shortcut: '', ...any, run: () => work.exportBranch(path) },
      {
        label: 'What would happen to this key?',
        icon: ShieldQuestion,
        shortcut: '',
        ...any,
        run: () => work.explain(path),
      },
      { label: 'Make a rule from it…', icon: ShieldPlus, shortcut: '', ...any, run: () => work.makeRule(path) },
    ]
  })
}
