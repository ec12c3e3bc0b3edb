import { adoptBelow } from './overlay-adopt'
import { changeOf, isInPlace, placeOf, type ChangePlace } from './overlay-changes'
import type { OverlayLog } from './overlay-log'
import { placeIn, type OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import type { Provider } from './provider'

/** Changes that are forgotten before the host's disk is waited for. */
const WAITING_MOST = 32

interface Applied {
  path: string
  node: OverlayNode | null
  /** The node's, when it was brought over. */
  revision: number
}

/**
 * What was brought over and is to be forgotten. A change in a folder that the lower tree has is forgotten in the turn in
 * which the host got it, so that the guest never misses it; what is in a folder that the guest has made or moved is
 * forgotten with that, once all in it has been brought over. The journal hears of it after the host's disk has it.
 */
export class AppliedChanges {
  readonly #later = new Map<string, Applied>()
  #waiting = 0
  #release: (() => void) | null = null

  constructor(
    private readonly tree: OverlayTree,
    private readonly target: Provider,
  ) {}

  /** To be called in the turn in which the target got it. */
  add(path: string, place: ChangePlace, node: OverlayNode | null): void {
    const isNewFolder = node !== null && node.lower === null && this.tree.isFolder(node)
    const isLeaf = !isNewFolder && (node?.own?.entries.size ?? 0) === 0
    if (isLeaf && isAsBelow(place.folder)) this.#forget(path)
    else this.#later.set(path, { path, node, revision: node?.revision ?? 0 })
  }

  /** Whether it was brought over and is still to be forgotten. */
  has(node: OverlayNode): boolean {
    return [...this.#later.values()].some((each) => each.node === node)
  }

  /** Brings what was forgotten to the disks, when it is much. */
  async settle(atOnce: boolean): Promise<void> {
    if (this.#waiting === 0 || (!atOnce && this.#waiting < WAITING_MOST)) return
    this.#waiting = 0
    const release = this.#release
    this.#release = null
    try {
      await this.target.flush()
    } finally {
      release?.()
    }
  }

  async end(): Promise<void> {
    for (const { path, node } of this.#later.values()) {
      const above = path.split('/').slice(0, -1)
      const isTop = !above.some((_, index) => this.#later.has(above.slice(0, index + 1).join('/')))
      if (isTop && this.#isWhole(path, node)) this.#forget(path)
    }
    await this.settle(true)
  }

  /** Whether all that the guest has changed there was brought over as it is now. */
  #isWhole(path: string, node: OverlayNode | null): boolean {
    return this.#later.get(path)?.revision === (node?.revision ?? 0) && (!node || this.#isWholeInside(path, node))
  }

  #isWholeInside(path: string, folder: OverlayNode): boolean {
    for (const [name, inside] of folder.own?.entries ?? []) {
      const at = placeIn(path, name)
      const hasChanged = changeOf(this.tree, { folder, name }, inside, at) !== null
      if (hasChanged ? !this.#isWhole(at, inside) : inside && !this.#isWholeInside(at, inside)) return false
    }
    return true
  }

  #forget(path: string): void {
    this.#release ??= holdCommits(this.tree.log)
    this.#waiting++
    const place = placeOf(this.tree, path)
    if (place) adoptBelow(this.tree, place)
    this.tree.log.end()
    this.tree.tidy()
  }
}

function holdCommits(log: OverlayLog): () => void {
  let release = (): void => undefined
  log.commitAfter(
    new Promise((resolve) => {
      release = resolve
    }),
  )
  return release
}

/** Whether a folder and all above it are where the lower tree has them. */
function isAsBelow(folder: OverlayNode): boolean {
  for (let each = folder; each.parent; each = each.parent) {
    if (!isInPlace(each.parent, each.name, each)) return false
  }
  return true
}
