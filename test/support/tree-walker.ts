import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HostFolderProvider } from '../../vmm/files/host-folder'
import { MODE, type FileNode, type Provider } from '../../vmm/files/provider'
import { openOverlay } from './overlay-trees'

/** A process that attaches a folder copy on write, looks at all in it, as `find -size` does, and says what that took. */
function walk(tree: Provider, folder: FileNode): number {
  let count = 1
  for (const { name, kind } of tree.list(folder)) {
    const child = tree.lookup(folder, name)
    tree.attributes(child)
    count += kind === MODE.folder ? walk(tree, child) : 1
    tree.drop(child)
  }
  return count
}

function residentMb(): number {
  globalThis.gc?.()
  return process.memoryUsage.rss() / 2 ** 20
}

const before = residentMb()
const begun = performance.now()
const lower = new HostFolderProvider({ folder: process.argv[2] ?? '', writable: false })
const overlay = openOverlay(mkdtempSync(join(tmpdir(), 'vivarium-test-')), lower)
const root = overlay.root()
const attachMs = performance.now() - begun
const count = walk(overlay, root)
const walkMs = performance.now() - begun - attachMs
console.log(JSON.stringify({ count, attachMs, walkMs, grownMb: residentMb() - before }))
