import fs, { type BigIntStats } from 'node:fs'
import path from 'node:path'
import { FileError } from './file-error'
import type { HostNode } from './host-node'
import type { HostReach } from './host-reach'
import { nameBytes } from './host-names'
import { MODE, type FileName } from './provider'

/**
 * By paths, where the host has no way to begin at an open folder. Every folder is compared with what it was before it is
 * used and must be where its path says, without links; files are compared again after they were used. Weaker than
 * descriptors: a program of the host that exchanges folders for links at the very moment can lead one operation astray,
 * which is noticed afterwards. A guest cannot, as its own links are never followed. What has lost its name is lost.
 */
export class PortableReach implements HostReach {
  readonly top: BigIntStats
  readonly #top: string
  readonly #nameless = new Map<HostNode, BigIntStats>()

  constructor(folder: string) {
    this.#top = fs.realpathSync.native(folder)
    this.top = fs.lstatSync(this.#top, { bigint: true })
    if (!this.top.isDirectory()) throw new FileError('ENOTDIR')
  }

  folder(node: HostNode): Buffer {
    const names: Buffer[] = []
    for (let at = node; at.parent; at = at.parent) names.unshift(SEPARATOR, nameBytes(at.name))
    const whole = Buffer.concat([Buffer.from(this.#top), ...names])
    node.check(fs.lstatSync(whole, { bigint: true, throwIfNoEntry: false }))
    if (!fs.realpathSync.native(whole, 'buffer').equals(whole))
      throw new FileError('ESTALE', 'a folder above it has become a link')
    return whole
  }

  entry(node: HostNode, name: FileName): Buffer {
    return Buffer.concat([this.folder(node), SEPARATOR, nameBytes(name)])
  }

  stat(node: HostNode): BigIntStats {
    const last = this.#nameless.get(node)
    return last ?? this.#check(node, this.#path(node))
  }

  file<T>(node: HostNode, work: (path: Buffer) => T): T {
    const at = this.#path(node)
    this.#check(node, at)
    const result = work(at)
    this.#check(node, at)
    return result
  }

  pin(node: HostNode): void {
    this.#nameless.set(node, this.stat(node))
  }

  unpin(node: HostNode): void {
    this.#nameless.delete(node)
  }

  forget(node: HostNode): void {
    this.#nameless.delete(node)
  }

  close(): void {
    this.#nameless.clear()
  }

  #path(node: HostNode): Buffer {
    if (this.#nameless.has(node)) throw new FileError('ESTALE', 'its name is gone')
    return node.parent && node.kind !== MODE.folder ? this.entry(node.parent, node.name) : this.folder(node)
  }

  #check(node: HostNode, at: Buffer): BigIntStats {
    return node.check(fs.lstatSync(at, { bigint: true, throwIfNoEntry: false }))
  }
}

const SEPARATOR = Buffer.from(path.sep)
