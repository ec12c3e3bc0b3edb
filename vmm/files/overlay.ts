import { mkdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { Journal } from '../sealed/journal'
import type { StoreKey } from '../sealed/store-key'
import { FileError } from './file-error'
import { applyChanges, discardChanges, firstBytes, type ApplyOptions, type ChangeOutcome } from './overlay-apply'
import { attributesOf, changeAttributes, readTarget } from './overlay-attributes'
import { OverlayBlobs } from './overlay-blobs'
import { changesOf, type OverlayChange } from './overlay-changes'
import { asFileError } from './overlay-content'
import { discardChange } from './overlay-discard'
import { OverlayOpenFile } from './overlay-file'
import { identityOf, revive } from './overlay-identity'
import { OverlayLog, type JournalState } from './overlay-log'
import { LowerTree } from './overlay-lower'
import { OverlayNames } from './overlay-names'
import { ownAnew, type OverlayNode } from './overlay-node'
import { OverlayReplay, type ReplayedTree } from './overlay-replay'
import { copyOverlay, JOURNAL_FILE, keepMoment, momentOf } from './overlay-snapshot'
import { blobNames, OverlayTree } from './overlay-tree'
import { OverlayXattrs } from './overlay-xattrs'
import {
  MODE,
  type AttributeChange,
  type Attributes,
  type Creation,
  type FileName,
  type FolderEntry,
  type OpenFile,
  type Provider,
  type TreeSpace,
} from './provider'

/** Inodes that an overlay says it has room for: it has as many as memory and disk hold. */
const FILES_MOST = 2 ** 31
const TARGET_MOST = 4095
const DEVICES: readonly number[] = [MODE.block, MODE.character, MODE.fifo, MODE.socket]

export interface OverlayOptions {
  /** Private to the overlay: its journal and blobs. Made when it is not there. */
  folder: string
  /** The same for every copy of an overlay: snapshots hold what was sealed with it. */
  key: StoreKey
  /** What is seen below the guest's changes; only ever read. It belongs to the overlay from now on. */
  lower: Provider
  /** Keep files that were removed while open until `releaseRemoved`, so that they can be revived. */
  keepRemoved?: boolean
  /** Told of a commit in the background that failed, and of the first that succeeds again (null). */
  onTrouble?: (error: unknown) => void
  /** Bytes that a journal has at least when it is written anew. */
  compactLeast?: number
}

/**
 * A lower tree with a guest's changes on top. The changes live in a folder of Vivarium's, sealed; nothing of the guest's
 * but bytes in blobs named at random ever reaches the host's file system.
 *
 * What the host changes below is seen at once, except in what the guest has changed itself. A file of more than 1 MiB of
 * which the guest has changed a part needs the rest as it was: once the host changes or removes it, that part answers
 * EIO. Smaller files are copied whole. A place of the lower tree is one file for as long as nobody in the guest moves it,
 * also when the host replaces it; hard links of the host are files of their own.
 */
export class OverlayProvider implements Provider {
  readonly #names: OverlayNames
  readonly #xattrs: OverlayXattrs
  #ended: Promise<void> | null = null

  private constructor(
    readonly folder: string,
    readonly tree: OverlayTree,
    private removed: OverlayNode[],
  ) {
    this.#names = new OverlayNames(tree)
    this.#xattrs = new OverlayXattrs(tree)
  }

  /** Throws kind `damaged`, naming the file, for a folder that holds no whole overlay of this key. */
  static open({ folder, key, lower, keepRemoved = false, onTrouble, compactLeast }: OverlayOptions): OverlayProvider {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const below = new LowerTree(lower)
    const blobs = new OverlayBlobs(folder, key)
    const file = join(folder, JOURNAL_FILE)
    const replay = new OverlayReplay(file, blobs, below)
    const journal = Journal.open(file, key, (record) => replay.apply(record))
    let replayed: ReplayedTree
    try {
      replayed = replay.finish()
    } catch (error) {
      journal.close()
      throw error
    }
    const { nodes, nameless } = replayed
    const everything = (): JournalState => ({
      nodes: nodes.values(),
      counters: { nodes: tree.nextNode, blobs: blobs.nextNumber },
    })
    const log: OverlayLog = new OverlayLog(journal, blobs, { everything, onTrouble, compactLeast })
    const tree: OverlayTree = new OverlayTree(replayed, below, blobs, log)
    blobs.sweep(blobNames(nodes.values()))
    if (!keepRemoved) tree.free(nameless)
    return new OverlayProvider(folder, tree, keepRemoved ? nameless : [])
  }

  /**
   * Makes a folder with what the guest's changes are now, sharing their bytes; the guest is held for one commit only.
   * Throws kind `conflict` when the folder exists.
   */
  async snapshot(toFolder: string): Promise<void> {
    const { log, blobs, recorded } = this.tree
    const moment = await log.settle(() => {
      const taken = momentOf(this.folder, log.bytes, [...blobNames(recorded.values())])
      blobs.share()
      return taken
    })
    try {
      await keepMoment(this.folder, moment, toFolder)
    } finally {
      blobs.release()
    }
  }

  /** The folder of an overlay that nobody has open, from a snapshot or another one; also the other way round. */
  static restore(fromFolder: string, toFolder: string): Promise<void> {
    return copyOverlay(fromFolder, toFolder)
  }

  /** All in which the guest's tree differs from the lower one. */
  changes(): Iterable<OverlayChange> {
    return changesOf(this.tree)
  }

  /** The first bytes of a file as the host or the guest has it, at most `limit`. Throws ENOENT. */
  contentOf(path: string, side: 'host' | 'guest', limit: number): Buffer {
    return firstBytes(side === 'host' ? this.tree.lower.provider : this, path, limit)
  }

  /** Brings changes to another tree, the host's folder; see `applyChanges`. */
  apply(paths: readonly string[], target: Provider, options: ApplyOptions = {}): Promise<ChangeOutcome[]> {
    return applyChanges(this, paths, target, options)
  }

  /** Gives changes up, each at once; a report for each path. */
  discard(paths: readonly string[], signal?: AbortSignal): ChangeOutcome[] {
    return discardChanges(this, paths, signal)
  }

  forget(path: string): void {
    this.#change(() => discardChange(this.tree, path))
  }

  /** Gives up what was removed while it was open, before the overlay was opened, and has not been revived since. */
  releaseRemoved(): void {
    this.tree.free(this.removed)
    this.removed = []
  }

  root(): OverlayNode {
    return this.tree.hold(this.tree.root)
  }

  lookup(folder: OverlayNode, name: FileName): OverlayNode {
    return this.#do(() => this.tree.hold(this.#names.child(folder, name)))
  }

  parent(folder: OverlayNode): OverlayNode {
    return this.tree.hold(folder.parent ?? folder)
  }

  hold(node: OverlayNode): void {
    this.tree.hold(node)
  }

  drop(node: OverlayNode): void {
    this.tree.drop(node)
  }

  attributes(node: OverlayNode): Attributes {
    return this.#do(() => attributesOf(this.tree, node))
  }

  change(node: OverlayNode, change: AttributeChange): void {
    this.#change(() => changeAttributes(this.tree, node, change))
  }

  list(folder: OverlayNode): FolderEntry[] {
    return this.#do(() => this.#names.list(folder))
  }

  readLink(node: OverlayNode): string {
    return this.#do(() => readTarget(this.tree, node))
  }

  createFile(folder: OverlayNode, name: FileName, creation: Creation): OverlayNode {
    return this.#create(folder, name, creation, MODE.file)
  }

  createFolder(folder: OverlayNode, name: FileName, creation: Creation): OverlayNode {
    return this.#create(folder, name, creation, MODE.folder)
  }

  createLink(folder: OverlayNode, name: FileName, target: string, creation: Creation): OverlayNode {
    if (target.length > TARGET_MOST) throw new FileError('ENAMETOOLONG')
    return this.#create(folder, name, { ...creation, mode: 0o777 }, MODE.link, { target })
  }

  createDevice(
    folder: OverlayNode,
    name: FileName,
    creation: Creation,
    device: { major: number; minor: number },
  ): OverlayNode {
    const kind = creation.mode & MODE.kind
    if (!DEVICES.includes(kind)) throw new FileError('EINVAL')
    return this.#create(folder, name, creation, kind, { device })
  }

  link(node: OverlayNode, folder: OverlayNode, name: FileName): void {
    this.#change(() => this.#names.link(node, folder, name))
  }

  unlink(folder: OverlayNode, name: FileName, folders: boolean): void {
    this.#change(() => this.#names.unlink(folder, name, folders))
  }

  rename(folder: OverlayNode, name: FileName, toFolder: OverlayNode, toName: FileName): void {
    this.#change(() => this.#names.rename(folder, name, toFolder, toName))
  }

  open(node: OverlayNode, write: boolean): OpenFile {
    return this.#do(() => {
      const kind = this.tree.modeOf(node) & MODE.kind
      if (kind !== MODE.file) throw new FileError(kind === MODE.folder ? 'EISDIR' : 'EINVAL')
      return new OverlayOpenFile(this.tree, node, write)
    })
  }

  xattrs(node: OverlayNode): string[] {
    return this.#do(() => this.#xattrs.names(node))
  }

  xattr(node: OverlayNode, name: string): Uint8Array {
    return this.#do(() => this.#xattrs.value(node, name))
  }

  setXattr(node: OverlayNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void {
    this.#change(() => this.#xattrs.set(node, name, value, mode))
  }

  removeXattr(node: OverlayNode, name: string): void {
    this.#change(() => this.#xattrs.remove(node, name))
  }

  space(): TreeSpace {
    return this.#do(() => {
      const { bsize, blocks, bavail } = statfsSync(this.folder)
      const filesFree = FILES_MOST - this.tree.recorded.size
      return { total: bsize * blocks, free: bsize * bavail, files: FILES_MOST, filesFree }
    })
  }

  identity(node: OverlayNode): string {
    return identityOf(node)
  }

  revive(identity: string): OverlayNode {
    return this.#do(() => this.tree.hold(revive(this.tree, identity)))
  }

  async flush(): Promise<void> {
    try {
      await this.tree.log.commit()
    } catch (error) {
      throw asFileError(error)
    }
  }

  /** What is not committed is, first; `ended` tells when, and whether it could be. */
  close(): void {
    this.#ended ??= this.tree.close()
    this.#ended.catch(() => undefined)
  }

  /** Resolves when the overlay has been closed and all is on the disk. */
  async ended(): Promise<void> {
    await this.#ended
  }

  #create(
    folder: OverlayNode,
    name: FileName,
    { mode, uid, gid }: Creation,
    kind: number,
    more: { target?: string; device?: { major: number; minor: number } } = {},
  ): OverlayNode {
    const own = ownAnew((mode & MODE.permissions) | kind, uid, gid)
    return this.#change(() => this.tree.hold(this.#names.create(folder, name, Object.assign(own, more))))
  }

  #do<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw asFileError(error)
    } finally {
      this.tree.tidy()
    }
  }

  #change<T>(work: () => T): T {
    this.tree.log.begin()
    try {
      return this.#do(work)
    } finally {
      this.tree.log.end()
    }
  }
}
