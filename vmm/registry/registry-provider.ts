import { FileError } from '../files/file-error'
import { MODE } from '../files/provider'
import type { AttributeChange, Attributes, FileName, FolderEntry, Provider, TreeSpace } from '../files/provider'
import { VmmError } from '../model/errors'
import { REG, type RegistryValue } from './hive'
import { folded } from './key-names'
import { fileNameOf, nameOfEntry, VALUE_MARK, valueFile } from './registry-file-names'
import type { RegistryNode } from './registry-nodes'
import { attributesOf, type NodeFacts } from './registry-attributes'
import { RegistryNodes } from './registry-nodes'
import { linkTarget, LONG_ROOTS } from './registry-path'
import type { RegistryView } from './registry-view'
import { attempt, fileError, guarded } from './view-errors'
import { OpenValue, VALUE_MOST } from './open-value'
import { checkData, parseType, typeText } from './value-check'

const TYPE_XATTR = 'user.reg.type'
const ROOTS = Object.values(LONG_ROOTS)
const LINK_VALUE = 'SymbolicLinkValue'

/**
 * A registry as a file tree, in the shape of Cygwin's /proc/registry: keys are folders, values are files, symbolic links
 * are links, names are written as in registry-file-names.ts and looked up without case. A file has the value's bytes as
 * they are; its type is the extended attribute `user.reg.type`, and REG_BINARY when a guest makes a file. Owners, modes
 * and times cannot be changed, and are taken without a word. Keys whose names are too long for a file are not seen.
 */
export class RegistryProvider implements Provider {
  readonly #nodes = new RegistryNodes()

  /** `sync` makes what was changed outlive a failure of the host. */
  constructor(
    private readonly view: RegistryView,
    private readonly sync: () => Promise<void>,
  ) {}

  root(): RegistryNode {
    this.#nodes.root.held++
    return this.#nodes.root
  }

  lookup(folder: RegistryNode, name: FileName): RegistryNode {
    this.#folder(folder)
    const { kind, name: found } = this.#find(folder, name)
    return this.#nodes.child(folder, kind, found)
  }

  parent(folder: RegistryNode): RegistryNode {
    const above = folder.above ?? folder
    above.held++
    return above
  }

  hold(node: RegistryNode): void {
    node.held++
  }

  drop(node: RegistryNode): void {
    this.#nodes.drop(node)
  }

  attributes(node: RegistryNode): Attributes {
    return attributesOf(node, this.#facts(node))
  }

  change(node: RegistryNode, { size }: AttributeChange): void {
    if (size === undefined) return
    if (node.kind === 'key') throw new FileError('EISDIR')
    if (size > VALUE_MOST) throw new FileError('EFBIG')
    const value = this.value(node)
    const data = new Uint8Array(size)
    data.set(value.data.subarray(0, size))
    this.setData(node, value, data)
  }

  list(folder: RegistryNode): FolderEntry[] {
    this.#folder(folder)
    const entry = (kind: 'key' | 'value', name: string, file: FileName | null, bits: number): FolderEntry[] =>
      file === null ? [] : [{ name: file, ino: this.#nodes.ino(folder, kind, name), kind: bits }]
    if (folder === this.#nodes.root) return ROOTS.flatMap((name) => entry('key', name, name, MODE.folder))
    return guarded(() => {
      const keys = this.view.keys(folder.path, 0, Infinity).items
      const names = new Set(keys.map(({ name }) => folded(name)))
      const values = this.view.values(folder.path, 0, Infinity).items
      return [
        ...keys.flatMap(({ name, link }) => entry('key', name, fileNameOf(name), link ? MODE.link : MODE.folder)),
        ...values.flatMap(({ name }) => entry('value', name, valueFile(name, names.has(folded(name))), MODE.file)),
      ]
    })
  }

  readLink(node: RegistryNode): string {
    if (node.kind !== 'key' || !this.#isLink(node)) throw new FileError('EINVAL')
    const target = linkTarget(guarded(() => this.view.value(node.path, LINK_VALUE, true)))
    if (!target) throw new FileError('EIO', 'the link leads nowhere')
    const [root = '', ...names] = target
    const long = root === 'HKLM' || root === 'HKU' ? LONG_ROOTS[root] : root
    return ['../'.repeat(node.depth - 1) + long, ...names.map((name) => fileNameOf(name) ?? '')].join('/')
  }

  createFile(folder: RegistryNode, name: FileName): RegistryNode {
    const made = this.#newName(folder, name, 'value')
    guarded(() => this.view.setValue(folder.path, { name: made, type: REG.BINARY, data: new Uint8Array() }))
    return this.#nodes.child(folder, 'value', made)
  }

  createFolder(folder: RegistryNode, name: FileName): RegistryNode {
    const made = this.#newName(folder, name, 'key')
    guarded(() => this.view.createKey(`${folder.path}\\${made}`))
    return this.#nodes.child(folder, 'key', made)
  }

  createLink(): never {
    throw new FileError('EPERM', 'links of the registry are made by Windows only')
  }

  createDevice(): never {
    throw new FileError('EPERM', 'a registry has no devices')
  }

  link(): never {
    throw new FileError('EPERM', 'a value has one name')
  }

  unlink(folder: RegistryNode, name: FileName, folders: boolean): void {
    this.#folder(folder)
    const found = this.#find(folder, name)
    const isFolder = found.kind === 'key' && !found.link
    if (folders !== isFolder) throw new FileError(folders ? 'ENOTDIR' : 'EISDIR')
    guarded(() => {
      if (found.kind === 'value') this.view.deleteValue(folder.path, found.name)
      else this.#deleteKey(`${folder.path}\\${found.name}`, found.link)
    })
    this.#nodes.remove(folder, found.kind, found.name)
  }

  rename(folder: RegistryNode, name: FileName, toFolder: RegistryNode, toName: FileName): void {
    this.#folder(folder)
    this.#folder(toFolder)
    const from = this.#find(folder, name)
    const to = this.#freeFor(folder, from, toFolder, toName)
    guarded(() => {
      if (from.kind === 'key') this.view.moveKey(`${folder.path}\\${from.name}`, `${toFolder.path}\\${to}`)
      else this.#moveValue(folder.path, from.name, toFolder.path, to)
    })
    this.#nodes.move(folder, from.kind, from.name, toFolder, to)
  }

  open(node: RegistryNode, write: boolean): OpenValue {
    if (node.kind === 'key') throw new FileError('EISDIR')
    const value = this.value(node)
    // a guest that may not write is told at once
    if (write) this.setData(node, value, value.data)
    return new OpenValue(this, node, this.sync)
  }

  xattrs(node: RegistryNode): string[] {
    return node.kind === 'value' ? [TYPE_XATTR] : []
  }

  xattr(node: RegistryNode, name: string): Uint8Array {
    if (node.kind !== 'value' || name !== TYPE_XATTR) throw new FileError('ENODATA')
    return Buffer.from(typeText(this.value(node).type))
  }

  setXattr(node: RegistryNode, name: string, value: Uint8Array, mode: 'either' | 'create' | 'replace'): void {
    if (node.kind !== 'value' || name !== TYPE_XATTR) throw new FileError('EOPNOTSUPP')
    if (mode === 'create') throw new FileError('EEXIST')
    const { data, name: valueName } = this.value(node)
    const type = parseType(Buffer.from(value).toString('latin1'))
    checkData(type, data)
    guarded(() => this.view.setValue(node.path, { name: valueName, type, data }))
  }

  removeXattr(node: RegistryNode, name: string): void {
    throw new FileError(node.kind === 'value' && name === TYPE_XATTR ? 'EPERM' : 'ENODATA')
  }

  space(): TreeSpace {
    return { total: 0, free: 0, files: 0, filesFree: 0 }
  }

  identity(node: RegistryNode): string {
    return JSON.stringify([node.path, node.kind === 'value' ? node.name : null])
  }

  revive(identity: string): RegistryNode {
    const [path, value] = JSON.parse(identity) as [string, string | null]
    let node = this.root()
    for (const name of path.split('\\').filter((part) => part !== '')) node = this.#step(node, 'key', name)
    if (value !== null) node = this.#step(node, 'value', value)
    try {
      this.#facts(node)
    } catch (error) {
      this.drop(node)
      throw new FileError('ESTALE', 'it is not there any more', { cause: error })
    }
    return node
  }

  flush(): Promise<void> {
    return this.sync()
  }

  close(): void {
    this.#nodes.root.below.clear()
  }

  /** What a value's file holds. */
  value(node: RegistryNode): RegistryValue {
    const value = guarded(() => this.view.value(node.path, node.name))
    if (!value) throw new FileError('ENOENT', 'the value was deleted')
    return value
  }

  setData(node: RegistryNode, { name, type }: RegistryValue, data: Uint8Array): void {
    checkData(type, data)
    guarded(() => this.view.setValue(node.path, { name, type, data }))
  }

  #folder(node: RegistryNode): void {
    if (node.kind !== 'key') throw new FileError('ENOTDIR')
    if (this.#facts(node).kind !== MODE.folder) throw new FileError('ENOTDIR')
  }

  #facts(node: RegistryNode): NodeFacts {
    if (node === this.#nodes.root) return { kind: MODE.folder, size: 0, written: 0n }
    const { written, link } = guarded(() => this.view.key(node.path, node.kind === 'key'))
    if (node.kind === 'value') return { kind: MODE.file, size: this.value(node).data.length, written }
    return { kind: link ? MODE.link : MODE.folder, size: 0, written }
  }

  #isLink(node: RegistryNode): boolean {
    return this.#facts(node).kind === MODE.link
  }

  /** A child by its file name, as it is called in the registry. */
  #find(folder: RegistryNode, file: FileName): Found {
    if (folder === this.#nodes.root) {
      const root = ROOTS.find((name) => name === file.toUpperCase())
      if (root === undefined) throw new FileError('ENOENT')
      return { kind: 'key', name: root, link: false }
    }
    const marked = file.endsWith(VALUE_MARK)
    const name = nameOfEntry(marked ? file.slice(0, -VALUE_MARK.length) : file)
    const key = name === '' ? null : this.#keyNamed(folder, name)
    if (key && !marked) return key
    const value = marked === (key !== null) ? guarded(() => this.view.value(folder.path, name)) : null
    if (!value) throw new FileError('ENOENT')
    return { kind: 'value', name: value.name, link: false }
  }

  #keyNamed(folder: RegistryNode, name: string): Found | null {
    if (name.includes('\\')) return null
    try {
      const { name: written, link } = this.view.key(`${folder.path}\\${name}`, true)
      return { kind: 'key', name: written, link }
    } catch (error) {
      if (error instanceof VmmError && error.kind === 'not-found') return null
      throw fileError(error)
    }
  }

  #newName(folder: RegistryNode, file: FileName, kind: 'key' | 'value'): string {
    this.#folder(folder)
    if (folder === this.#nodes.root) throw new FileError('EPERM', 'roots are what they are')
    const name = nameOfEntry(file)
    if (kind === 'key' && (name === '' || name.includes('\\'))) throw new FileError('EINVAL', 'no name of a key')
    const value = guarded(() => this.view.value(folder.path, name))
    if (value ?? (name !== '' && this.#keyNamed(folder, name))) throw new FileError('EEXIST')
    return name
  }

  #deleteKey(path: string, link: boolean): void {
    const { keys, values } = this.view.key(path, true)
    if (!link && keys + values > 0) throw new FileError('ENOTEMPTY')
    this.view.deleteKey(path, false)
  }

  /** Makes room for what is moved, as rename(2) does, and returns its name there. */
  #freeFor(folder: RegistryNode, from: Found, toFolder: RegistryNode, toName: FileName): string {
    const old = attempt(() => this.#find(toFolder, toName))
    if (!old) return this.#newName(toFolder, toName, from.kind)
    if (folder === toFolder && old.kind === from.kind && folded(old.name) === folded(from.name))
      return nameOfEntry(toName)
    if (old.kind !== from.kind) throw new FileError(old.kind === 'key' ? 'EISDIR' : 'ENOTDIR')
    if (old.kind === 'key') {
      guarded(() => this.#deleteKey(`${toFolder.path}\\${old.name}`, old.link))
      this.#nodes.remove(toFolder, 'key', old.name)
    } else this.#nodes.remove(toFolder, 'value', old.name)
    return old.name
  }

  #moveValue(path: string, name: string, toPath: string, toName: string): void {
    const value = this.view.value(path, name)
    if (!value) throw new FileError('ENOENT')
    const same = path === toPath && folded(name) === folded(toName)
    if (same) this.view.deleteValue(path, name)
    this.view.setValue(toPath, { ...value, name: toName })
    if (!same) this.view.deleteValue(path, name)
  }

  #step(above: RegistryNode, kind: 'key' | 'value', name: string): RegistryNode {
    const node = this.#nodes.child(above, kind, name)
    this.drop(above)
    return node
  }
}

interface Found {
  kind: 'key' | 'value'
  name: string
  link: boolean
}
