import type { FileNode, Provider } from '../../vmm/files/provider'
import { MODE } from '../../vmm/files/provider'
import { BY_GUEST, nodeAt, outcomeOf } from './overlay-trees'

const NAMES = ['a', 'b', 'c', 'd', '\xff\xfe', 'e'.repeat(40)]

/** Something that a guest may do, the same to any tree. */
export interface GuestOperation {
  text: string
  run: (tree: Provider) => string
}

/** A random operation on paths of few names, so that most meet something. */
export function randomOperation(random: () => number): GuestOperation {
  const number = (below: number): number => Math.floor(random() * below)
  const pick = <T>(from: readonly T[]): T => from[number(from.length)] as T
  const path = (): string => Array.from({ length: 1 + number(3) }, () => pick(NAMES)).join('/')
  const [one, other] = [path(), path()]
  const data = Buffer.alloc(number(4) === 0 ? number(70_000) : number(300), number(256))
  const position = number(5) === 0 ? number(200_000) : number(40_000)
  const size = number(3) === 0 ? 0 : number(120_000)
  const mode = number(0o1000)
  const attribute = `user.${pick(NAMES)}`
  const kinds: (() => GuestOperation)[] = [
    () => at('file', one, (tree, folder, name) => dropped(tree, tree.createFile(folder, name, { ...BY_GUEST, mode }))),
    () =>
      at('folder', one, (tree, folder, name) => dropped(tree, tree.createFolder(folder, name, { ...BY_GUEST, mode }))),
    () =>
      at('link', one, (tree, folder, name) =>
        dropped(tree, tree.createLink(folder, name, other, { ...BY_GUEST, mode: 0o777 })),
      ),
    () =>
      at('device', one, (tree, folder, name) =>
        dropped(
          tree,
          tree.createDevice(folder, name, { ...BY_GUEST, mode: MODE.character | mode }, { major: 1, minor: 3 }),
        ),
      ),
    () => at('remove', one, (tree, folder, name) => tree.unlink(folder, name, false)),
    () => at('rmdir', one, (tree, folder, name) => tree.unlink(folder, name, true)),
    () =>
      on(`rename to ${other}`, one, (tree) => {
        const [folder, name] = parentOf(tree, one)
        const [toFolder, toName] = parentOf(tree, other)
        tree.rename(folder, name, toFolder, toName)
        tree.drop(folder)
        tree.drop(toFolder)
      }),
    () =>
      on(`hard link ${other}`, one, (tree, node) => {
        const [folder, name] = parentOf(tree, other)
        tree.link(node, folder, name)
        tree.drop(folder)
      }),
    () => on(`mode ${mode}`, one, (tree, node) => tree.change(node, { mode, uid: mode })),
    () => on(`size ${size}`, one, (tree, node) => tree.change(node, { size })),
    () => on('xattr', one, (tree, node) => tree.setXattr(node, attribute, data.subarray(0, 20), 'either')),
  ]
  const write = (): GuestOperation =>
    on(`write ${data.byteLength} at ${position}`, one, (tree, node) => {
      const file = tree.open(node, true)
      try {
        file.write(position, data)
      } finally {
        file.close()
      }
    })
  return number(3) === 0 ? write() : pick(kinds)()
}

function at(
  text: string,
  path: string,
  work: (tree: Provider, folder: FileNode, name: string) => void,
): GuestOperation {
  return {
    text: `${text} ${path}`,
    run: (tree) =>
      outcomeOf(() => {
        const [folder, name] = parentOf(tree, path)
        try {
          work(tree, folder, name)
        } finally {
          tree.drop(folder)
        }
      }),
  }
}

function on(text: string, path: string, work: (tree: Provider, node: FileNode) => void): GuestOperation {
  return {
    text: `${path}: ${text}`,
    run: (tree) =>
      outcomeOf(() => {
        const node = nodeAt(tree, path)
        try {
          work(tree, node)
        } finally {
          tree.drop(node)
        }
      }),
  }
}

function parentOf(tree: Provider, path: string): [FileNode, string] {
  const names = path.split('/')
  return [nodeAt(tree, names.slice(0, -1).join('/')), names.at(-1) ?? '']
}

const dropped = (tree: Provider, node: FileNode): void => tree.drop(node)
