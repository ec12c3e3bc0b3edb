import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { FileError } from '../../vmm/files/file-error'
import { OverlayProvider, type OverlayOptions } from '../../vmm/files/overlay'
import { MODE, type FileNode, type Provider } from '../../vmm/files/provider'
import type { MemoryProvider } from '../../vmm/files/provider-memory'
import { StoreKey } from '../../vmm/sealed/store-key'

export const MASTER = Buffer.alloc(32, 7)
export const KEY = StoreKey.of(MASTER, 'trial')
export const BY_GUEST = { mode: 0o644, uid: 1000, gid: 1000 }

export function openOverlay(folder: string, lower: Provider, more: Partial<OverlayOptions> = {}): OverlayProvider {
  return OverlayProvider.open({ folder: join(folder, 'overlay'), key: KEY, lower, ...more })
}

/** A tree that is only read, and that a test may close and go on with. */
export function unclosed(provider: MemoryProvider): Provider {
  return new Proxy(provider, {
    get(target, name) {
      if (name === 'close') return () => undefined
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

export function putFile(tree: Provider, folder: FileNode, name: string, text: string | Uint8Array): FileNode {
  const node = tree.createFile(folder, name, BY_GUEST)
  writeAt(tree, node, 0, text)
  return node
}

export function writeAt(tree: Provider, node: FileNode, position: number, text: string | Uint8Array): void {
  const file = tree.open(node, true)
  try {
    file.write(position, Buffer.from(text as string))
  } finally {
    file.close()
  }
}

export function bytesOf(tree: Provider, node: FileNode): Buffer {
  const into = Buffer.alloc(tree.attributes(node).size)
  const file = tree.open(node, false)
  try {
    return into.subarray(0, file.read(0, into))
  } finally {
    file.close()
  }
}

/** The node at a path, held; throws what the tree throws. */
export function nodeAt(tree: Provider, path: string): FileNode {
  let node = tree.root()
  for (const name of path.split('/').filter(Boolean)) {
    const above = node
    try {
      node = tree.lookup(above, name)
    } finally {
      tree.drop(above)
    }
  }
  return node
}

export function textAt(tree: Provider, path: string): string {
  const node = nodeAt(tree, path)
  try {
    return bytesOf(tree, node).toString('latin1')
  } finally {
    tree.drop(node)
  }
}

/** All of a tree, one line a name, in order. */
export function describeTree(tree: Provider): string[] {
  const lines: string[] = []
  const walk = (node: FileNode, path: string): void => {
    const { mode, uid, gid, size, links, device } = tree.attributes(node)
    const kind = mode & MODE.kind
    const xattrs = tree
      .xattrs(node)
      .sort()
      .map((name) => `${name}=${Buffer.from(tree.xattr(node, name)).toString('hex')}`)
    const what =
      kind === MODE.file
        ? `${size} ${createHash('md5').update(bytesOf(tree, node)).digest('hex')} ${links}`
        : kind === MODE.link
          ? `-> ${tree.readLink(node)}`
          : kind === MODE.folder
            ? `${links}`
            : `${device.major}:${device.minor}`
    lines.push(`${path || '/'} ${mode.toString(8)} ${uid}:${gid} ${what} ${xattrs.join(',')}`)
    if (kind !== MODE.folder) return
    for (const { name, ino } of tree.list(node)) {
      const child = tree.lookup(node, name)
      if (tree.attributes(child).ino !== ino) lines.push(`${path}/${name} has two numbers`)
      walk(child, `${path}/${name}`)
      tree.drop(child)
    }
  }
  const root = tree.root()
  walk(root, '')
  tree.drop(root)
  return lines.sort()
}

/** What an operation comes to: its result, or the name of the error. */
export function outcomeOf(work: () => unknown): string {
  try {
    work()
    return 'done'
  } catch (error) {
    if (error instanceof FileError) return error.code
    throw error
  }
}
