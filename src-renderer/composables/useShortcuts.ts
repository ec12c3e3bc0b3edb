import { onScopeDispose } from 'vue'
import { inElectron, onMac } from '../bridge'

export interface Shortcut {
  /** Such as 'Ctrl+N', 'F2' or 'Delete'. On a Mac, Ctrl stands for Command. */
  keys: string
  run(): void
  /** Whether it also acts while text is being typed. Plain keys never do. */
  whileTyping?: boolean
}

/** A browser keeps Ctrl+N for itself. */
export const newDomainKeys = (): string => (inElectron() ? 'Ctrl+N' : 'Alt+N')

/** Keys as this platform writes them. */
export const shownKeys = (keys: string): string =>
  onMac() ? keys.replace('Ctrl+', '⌘').replace('Shift+', '⇧').replace('Alt+', '⌥') : keys

export function keysOf(event: KeyboardEvent, mac = onMac()): string {
  const control = mac ? event.metaKey : event.ctrlKey
  const key = event.key.length === 1 ? event.key.toUpperCase() : event.key
  return [control && 'Ctrl', event.altKey && 'Alt', event.shiftKey && 'Shift', key].filter(Boolean).join('+')
}

const TYPING = 'input, textarea, select, [contenteditable]'

/** Acts on `shortcuts` anywhere in the window but in the console and in dialogs, whose keys are their own. */
export function useShortcuts(shortcuts: () => readonly Shortcut[]): void {
  function pressed(event: KeyboardEvent): void {
    if (event.defaultPrevented || !(event.target instanceof Element)) return
    if (event.target.closest('[data-keys="own"], [role="dialog"], [role="alertdialog"], [role="menu"]')) return
    const keys = keysOf(event)
    const shortcut = shortcuts().find((candidate) => candidate.keys === keys)
    if (!shortcut || (event.target.closest(TYPING) && !shortcut.whileTyping)) return
    event.preventDefault()
    shortcut.run()
  }
  document.addEventListener('keydown', pressed)
  onScopeDispose(() => document.removeEventListener('keydown', pressed))
}
