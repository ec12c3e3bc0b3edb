import { mkdirSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { StoreKey } from '../sealed/store-key'
import { HostFolderProvider } from './host-folder'
import type { HostTrees } from './host-trees'
import { OverlayProvider } from './overlay'
import type { ShareConfig } from './files-protocol'
import type { Provider } from './provider'
import { ReadOnlyProvider } from './provider-read-only'

/** What the host counts files in, bytes. */
const BLOCK = 512
/** Store of the changes of shares, among those that a key seals. */
const STORE = 'files'

/** An open share: the tree that a guest would see if there were no rules. */
export interface ShareTree {
  config: ShareConfig
  provider: Provider
  /** Of a copy-on-write share. */
  overlay: OverlayProvider | null
  close(): Promise<void>
}

/** Opens a share. Throws `VmmError` when its folder, or what is kept of it, cannot be opened. */
export function openShare(config: ShareConfig, key: Uint8Array | null, trees: HostTrees): ShareTree {
  const { folder, mode } = config
  if (mode === 'copy-on-write') {
    const overlay = openOverlay(config, key)
    const close = async () => {
      overlay.close()
      await overlay.ended()
    }
    return { config, provider: overlay, overlay, close }
  }
  const writable = mode === 'direct'
  const host = trees.hold(folder, writable)
  const provider = writable ? host : new ReadOnlyProvider(host)
  const close = async () => {
    await host.flush()
    trees.release(folder, writable)
  }
  return { config, provider, overlay: null, close }
}

function openOverlay({ folder, overlay }: ShareConfig, key: Uint8Array | null): OverlayProvider {
  const lower = new HostFolderProvider({ folder, writable: false })
  try {
    mkdirSync(overlay, { recursive: true, mode: 0o700 })
    return OverlayProvider.open({ folder: overlay, key: StoreKey.of(key, STORE), lower })
  } catch (error) {
    lower.close()
    throw error
  }
}

/** Whether two configs are of the same open tree: its name and its rules may differ. */
export function sameTree(a: ShareConfig, b: ShareConfig): boolean {
  return a.folder === b.folder && a.mode === b.mode && a.overlay === b.overlay
}

/** Bytes on the host that the files in a folder of ours take up. */
export function keptBytes(folder: string): number {
  let sum = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name)
    if (entry.isDirectory()) sum += keptBytes(file)
    // one that has just been removed counts for nothing
    else sum += (statSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK
  }
  return sum
}
