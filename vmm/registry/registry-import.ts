import { VmmError } from '../model/errors'
import type { RegistryChange } from './registry-change'
import type { Registry } from './registry-tree'

/** Makes changes as a file tells them, as regedit does: keys on the way are made, and what is to go may be gone. */
export function importChanges(registry: Registry, changes: Iterable<RegistryChange>): number {
  let count = 0
  for (const change of changes) {
    count++
    switch (change.kind) {
      case 'create-key':
        registry.createKey(change.path, change.className)
        break
      case 'set-value':
        registry.createKey(change.path)
        registry.setValue(change.path, change.value)
        break
      case 'delete-key':
        unlessGone(() => registry.deleteKey(change.path, true))
        break
      case 'delete-value':
        unlessGone(() => registry.deleteValue(change.path, change.name))
        break
      case 'move-key':
      case 'touch-key':
        registry.change(change)
    }
  }
  return count
}

function unlessGone(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof VmmError) || error.kind !== 'not-found') throw error
  }
}
