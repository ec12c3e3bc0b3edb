import { HostFolderProvider } from './host-folder'
import type { Provider } from './provider'

interface HeldTree {
  provider: Provider
  holders: number
}

/** Host folders that are open: one provider for all domains that share the same one in the same way, so that they lock against each other. */
export class HostTrees {
  readonly #open = new Map<string, HeldTree>()

  /** Throws `VmmError` when the folder cannot be opened. To be given back by `release`. */
  hold(folder: string, writable: boolean): Provider {
    const key = keyOf(folder, writable)
    const tree = this.#open.get(key) ?? { provider: new HostFolderProvider({ folder, writable }), holders: 0 }
    tree.holders++
    this.#open.set(key, tree)
    return tree.provider
  }

  release(folder: string, writable: boolean): void {
    const key = keyOf(folder, writable)
    const tree = this.#open.get(key)
    if (!tree || --tree.holders > 0) return
    this.#open.delete(key)
    tree.provider.close()
  }
}

function keyOf(folder: string, writable: boolean): string {
  return `${writable ? 'w' : 'r'}${folder}`
}
