import { HostFolderProvider } from '../../vmm/files/host-folder'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { rule, ruledTree } from '../support/ruled-trees'
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

const ON_HOST = {
  devices: 'no devices are made on the host',
  owners: 'new files belong to whom Vivarium runs as',
  xattrs: 'extended attributes of the host are not shown',
  nanoseconds: 'times are set as the host takes them',
  anyLinks: 'links that lead out are not made on the host',
  setUserId: 'nothing that runs as its owner is made on the host',
}
const hostFolder = (writable: boolean) => new HostFolderProvider({ folder: temporaryFolder(), writable })
tryProvider({ name: 'a tree in memory under no rules', make: () => ruledTree(new MemoryProvider()).ruled })
tryProvider({
  name: 'a folder of the host under no rules',
  make: () => ruledTree(hostFolder(true)).ruled,
  lacks: ON_HOST,
})
tryProvider({
  name: 'an overlay over a folder of the host under no rules',
  make: () => ruledTree(openOverlay(temporaryFolder(), hostFolder(false))).ruled,
})
tryProvider({
  name: 'a tree in memory under rules for something else',
  make: () => ruledTree(new MemoryProvider(), [rule('secrets', 'hide', ['/secret/**', '/other/*.key'])]).ruled,
})
