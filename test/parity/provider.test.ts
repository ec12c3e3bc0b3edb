import { MemoryProvider } from '../../vmm/files/provider-memory'
import { openOverlay } from '../support/overlay-trees'
import { tryProvider } from '../support/provider-trial'
import { temporaryFolder } from '../support/temporary-folder'

tryProvider({ name: 'a tree in memory', make: () => new MemoryProvider() })
tryProvider({ name: 'an overlay over nothing', make: () => openOverlay(temporaryFolder(), new MemoryProvider()) })
tryProvider({
  name: 'an overlay whose folder was filled below, and emptied above',
  make: () => {
    const lower = new MemoryProvider()
    const names = ['a', 'b', 'c', 'f', 'one', 'two']
    for (const name of names) lower.createFolder(lower.root(), name, { mode: 0o755, uid: 0, gid: 0 })
    const overlay = openOverlay(temporaryFolder(), lower)
    for (const name of names) overlay.unlink(overlay.root(), name, true)
    return overlay
  },
})
