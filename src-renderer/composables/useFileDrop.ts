import { onScopeDispose, ref, type Ref } from 'vue'

/**
 * Takes files dropped anywhere on the window, and tells whether the first of them is a folder. Answers whether some are
 * being dragged over it now.
 */
export function useFileDrop(take: (files: File[], folder: boolean) => void): Ref<boolean> {
  const over = ref(false)
  /** Entering a child fires before leaving its parent: only the balance tells. */
  let depth = 0

  const holdsFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false

  function enter(event: DragEvent): void {
    if (!holdsFiles(event)) return
    event.preventDefault()
    depth += 1
    over.value = true
  }
  function move(event: DragEvent): void {
    if (holdsFiles(event)) event.preventDefault()
  }
  function leave(event: DragEvent): void {
    if (!holdsFiles(event)) return
    depth = Math.max(0, depth - 1)
    over.value = depth > 0
  }
  function drop(event: DragEvent): void {
    if (!holdsFiles(event)) return
    // else the browser would open the file in place of Vivarium
    event.preventDefault()
    depth = 0
    over.value = false
    const files = [...(event.dataTransfer?.files ?? [])]
    const folder = event.dataTransfer?.items[0]?.webkitGetAsEntry()?.isDirectory ?? false
    if (files.length > 0) take(files, folder)
  }

  const handlers = [
    ['dragenter', enter],
    ['dragover', move],
    ['dragleave', leave],
    ['drop', drop],
  ] as const
  for (const [name, handler] of handlers) document.addEventListener(name, handler)
  onScopeDispose(() => {
    for (const [name, handler] of handlers) document.removeEventListener(name, handler)
  })
  return over
}
