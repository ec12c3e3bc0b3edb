import { onUnmounted } from 'vue'

/** What had the focus before the first of the dialogs that are open, or gave way to one another. */
let origin: Element | null = null

/** Gives the focus back to where it was when this dialog goes; where that is gone, to the content. */
export function useFocusReturn(): void {
  const now = document.activeElement
  if (!now?.closest('[role="dialog"], [role="alertdialog"]')) origin = now

  onUnmounted(() =>
    // after the dialog library has let go of the focus; not when something has taken it meanwhile
    setTimeout(() => {
      if (document.activeElement !== document.body) return
      const target = origin?.isConnected && origin !== document.body ? origin : document.querySelector('#main')
      if (target instanceof HTMLElement) target.focus()
    }),
  )
}
