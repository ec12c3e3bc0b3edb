import fs, { type BigIntStats } from 'node:fs'
import { FileError } from './file-error'
import { ExactNames } from './host-case'
import { checkName } from './host-names'
import { HostNode, inoOf, kindOf } from './host-node'
import type { HostReach } from './host-reach'
import { MODE, type FileName, type FileNode, type FolderEntry } from './provider'

const DEPTH_MOST = 1024

/** The files of a share that somebody holds, one node each, by whatever name they were found. */
export class HostNodes {
  readonly top: HostNode
  readonly #nodes = new Map<bigint, HostNode>()
  readonly #exact: ExactNames

  constructor(private readonly reach: HostReach) {
    this.top = new HostNode(reach.top, null, '')
    this.#nodes.set(this.top.ino, this.top)
    this.#exact = new ExactNames(reach)
  }

  /** Throws EXDEV for a node of another share. */
  own(node: FileNode): HostNode {
    if (node instanceof HostNode && this.#nodes.get(node.ino) === node) return node
    if (node instanceof HostNode && topOf(node) === this.top) return node
    throw new FileError('EXDEV', 'not of this share')
  }

  folder(node: FileNode): HostNode {
    const own = this.own(node)
    if (own.kind !== MODE.folder) throw new FileError('ENOTDIR')
    return own
  }

  /** What a name leads to now; null for nothing. Another file system mounted there is nothing. */
  find(folder: HostNode, name: FileName): BigIntStats | null {
    checkName(name)
    const found = this.#at(folder, name)
    return found && this.#exact.has(folder, name, found) ? found : null
  }

  /** Whether the host would find something, though by another spelling of the name. */
  hasOtherSpelling(folder: HostNode, name: FileName): BigIntStats | null {
    const found = this.#at(folder, name)
    return found && !this.#exact.has(folder, name, found) ? found : null
  }

  /** The node for what was found at a name, held once. */
  hold(stats: BigIntStats, folder: HostNode, name: FileName): HostNode {
    const known = this.held(stats)
    if (known) {
      this.move(known, folder, name)
      known.holds++
      return known
    }
    if (folder.depth >= DEPTH_MOST) throw new FileError('ENAMETOOLONG', 'too many folders in each other')
    const node = new HostNode(stats, folder, name)
    folder.holds++
    node.holds++
    this.#nodes.set(node.ino, node)
    return node
  }

  held(stats: BigIntStats): HostNode | null {
    const known = this.#nodes.get(stats.ino)
    return known?.is(stats) ? known : null
  }

  /** It was found there. */
  move(node: HostNode, folder: HostNode, name: FileName): void {
    const before = node.parent
    if (!before) return
    if (before !== folder && isAbove(node, folder)) throw new FileError('ELOOP', 'a folder within itself')
    node.name = name
    if (before === folder) return
    folder.holds++
    node.parent = folder
    this.drop(before)
  }

  drop(node: HostNode): void {
    for (let at = node; --at.holds === 0 && at.parent; at = at.parent) {
      this.reach.forget(at)
      this.#exact.forget(at)
      if (this.#nodes.get(at.ino) === at) this.#nodes.delete(at.ino)
    }
  }

  list(folder: HostNode): FolderEntry[] {
    const path = this.reach.folder(folder)
    return fs.readdirSync(path, { encoding: 'buffer' }).flatMap((name): FolderEntry[] => {
      const stats = this.#stats(Buffer.concat([path, SLASH, name]))
      return stats
        ? [{ name: name.toString('latin1'), ino: inoOf(stats, this.reach.top.dev), kind: kindOf(stats) }]
        : []
    })
  }

  close(): void {
    for (const node of this.#nodes.values()) this.reach.forget(node)
    this.#nodes.clear()
  }

  #at(folder: HostNode, name: FileName): BigIntStats | null {
    return this.#stats(this.reach.entry(folder, name))
  }

  #stats(path: Buffer): BigIntStats | null {
    const found = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
    if (!found) return null
    return kindOf(found) === MODE.folder && found.dev !== this.reach.top.dev ? null : found
  }
}

const SLASH = Buffer.from('/')

function isAbove(node: HostNode, below: HostNode): boolean {
  for (let at: HostNode | null = below; at; at = at.parent) if (at === node) return true
  return false
}

function topOf(node: HostNode): HostNode {
  let at = node
  while (at.parent) at = at.parent
  return at
}
