import { FileError } from './file-error'
import { asFileError, type OverlayContent } from './overlay-content'
import { isMissing, LowerBelow, sameTime } from './overlay-lower'
import { timeNow, type OverlayNode } from './overlay-node'
import type { OverlayTree } from './overlay-tree'
import type { OpenFile } from './provider'

/** Lower files up to this size are copied whole when the guest first writes to them; of larger ones, chunk by chunk. */
export const WHOLE_MOST = 1024 * 1024

/** The size of a recorded file. */
export function sizeOf(tree: OverlayTree, node: OverlayNode): number {
  const own = node.own
  if (own?.content) return own.content.size
  return node.lower === null ? 0 : (tree.below(node)?.size ?? own?.stamp?.size ?? 0)
}

/** Sets a file's size. */
export function resize(tree: OverlayTree, node: OverlayNode, size: number): void {
  const own = tree.record(node)
  const content = size === 0 && !own.content ? startContent(tree, node, null) : writable(tree, node)
  content.truncate(size)
  written(tree, node)
}

/** A file that somebody has open. While the guest has not written to it, it is the lower one. */
export class OverlayOpenFile implements OpenFile {
  #below: OpenFile | null = null
  #closed = false

  constructor(
    private readonly tree: OverlayTree,
    private readonly node: OverlayNode,
    private readonly forWriting: boolean,
  ) {
    tree.hold(node)
  }

  read(position: number, into: Uint8Array): number {
    const own = this.node.own
    if (own?.content) {
      this.#closeBelow()
      return own.content.read(position, into)
    }
    if (this.node.lower === null) return 0
    return this.#readBelow(position, into)
  }

  write(position: number, data: Uint8Array): void {
    if (!this.forWriting) throw new FileError('EBADF')
    if (data.byteLength === 0) return
    this.tree.log.begin()
    try {
      this.tree.record(this.node)
      writable(this.tree, this.node).write(position, data)
      written(this.tree, this.node)
    } finally {
      this.tree.log.end()
      this.tree.tidy()
    }
  }

  async sync(_dataOnly: boolean): Promise<void> {
    try {
      await this.tree.log.commit()
    } catch (error) {
      throw asFileError(error)
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#closeBelow()
    this.tree.drop(this.node)
  }

  #readBelow(position: number, into: Uint8Array): number {
    const { provider } = this.tree.lower
    const open = (): OpenFile => this.tree.onLower(this.node, (below) => provider.open(below, false))
    const known = this.#below
    this.#below ??= open()
    try {
      return this.#below.read(position, into)
    } catch (error) {
      if (!known || !isMissing(error)) throw error
      this.#closeBelow()
      this.tree.forgetLower(this.node)
      this.#below = open()
      return this.#below.read(position, into)
    }
  }

  #closeBelow(): void {
    this.#below?.close()
    this.#below = null
  }
}

/** Content that can be written: a snapshot's is left alone, and what lies below is seen through it. */
function writable(tree: OverlayTree, node: OverlayNode): OverlayContent {
  const content = node.own?.content
  if (content) return content.isShared ? startContent(tree, node, content) : content
  return node.lower === null ? startContent(tree, node, null) : copyUp(tree, node)
}

function copyUp(tree: OverlayTree, node: OverlayNode): OverlayContent {
  const own = tree.record(node)
  const { lower } = tree
  const stamp = tree.onLower(node, (below) => lower.stampOf(below))
  own.stamp = stamp
  if (stamp.size > WHOLE_MOST) return startContent(tree, node, new LowerBelow(lower, node.lower ?? '', stamp))
  const bytes = tree.onLower(node, (below) => {
    const file = lower.provider.open(below, false)
    try {
      const into = Buffer.alloc(stamp.size)
      return into.subarray(0, file.read(0, into))
    } finally {
      file.close()
    }
  })
  const after = tree.onLower(node, (below) => lower.stampOf(below))
  if (after.size !== stamp.size || !sameTime(after.modified, stamp.modified)) {
    throw new FileError('EBUSY', `the host is writing to ${node.lower ?? ''}`)
  }
  const content = startContent(tree, node, null)
  try {
    content.write(0, bytes)
    return content
  } catch (error) {
    own.content = null
    tree.log.blobGone(content)
    throw error
  }
}

function startContent(tree: OverlayTree, node: OverlayNode, below: OverlayContent | LowerBelow | null): OverlayContent {
  const own = tree.record(node)
  const content = tree.blobs.create(below)
  own.content = content
  tree.log.blob(content)
  tree.log.touch(node)
  return content
}

function written(tree: OverlayTree, node: OverlayNode): void {
  const own = tree.record(node)
  own.modified = own.changed = timeNow()
  tree.log.touch(node)
}
