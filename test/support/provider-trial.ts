import { describe, expect, test, type TestContext } from 'vitest'
import { FileError, type ErrnoName } from '../../vmm/files/file-error'
import { MODE, type Creation, type FileNode, type Provider } from '../../vmm/files/provider'
import { tryDescriptions } from './provider-trial-descriptions'

const GIB = 1024 ** 3
export const CREATION: Creation = { mode: 0o644, uid: 1000, gid: 1000 }
const FOLDER: Creation = { mode: 0o755, uid: 1000, gid: 1000 }

export interface ProviderTrial {
  name: string
  /** An empty tree that may be changed. */
  make: () => Provider | Promise<Provider>
  /** What it cannot do, and why; those tests are skipped with the reason. */
  lacks?: Partial<Record<Lack, string>>
}
type Lack = 'devices' | 'owners' | 'xattrs' | 'anyNames' | 'nanoseconds' | 'hardLinks' | 'anyLinks' | 'setUserId'

type Work = (provider: Provider, root: FileNode) => void | Promise<void>

/** What the parts of the body share: bodies of tests, of which some are skipped where a tree lacks what they need. */
export interface Tools {
  withTree: (work: Work) => () => Promise<void>
  needing: (what: Lack, work: Work) => (context: TestContext) => Promise<void>
}

/** What every tree has to do; one body for all of them. */
export function tryProvider({ name, make, lacks = {} }: ProviderTrial): void {
  const withTree: Tools['withTree'] = (work) => async () => {
    const provider = await make()
    const root = provider.root()
    try {
      await work(provider, root)
    } finally {
      provider.drop(root)
      provider.close()
    }
  }
  const needing: Tools['needing'] = (what, work) => async (context) => {
    context.skip(lacks[what] !== undefined, lacks[what])
    await withTree(work)()
  }

  describe(name, () => {
    test(
      'a file keeps what is written to it',
      withTree((tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)
        put(tree, file, 'hello', 0)
        put(tree, file, 'HE', 3)

        expect(take(tree, tree.lookup(root, 'a'))).toBe('helHE')
        expect(tree.attributes(file)).toMatchObject({ size: 5, links: 1, mode: MODE.file | 0o644 })
      }),
    )

    test(
      'the same file is the same number, another is not',
      withTree((tree, root) => {
        const one = tree.attributes(tree.createFile(root, 'a', CREATION)).ino
        const other = tree.attributes(tree.createFile(root, 'b', CREATION)).ino

        expect(tree.attributes(tree.lookup(root, 'a')).ino).toBe(one)
        expect(other).not.toBe(one)
        expect(tree.list(root).map((entry) => [entry.name, entry.ino, entry.kind])).toEqual(
          expect.arrayContaining([
            ['a', one, MODE.file],
            ['b', other, MODE.file],
          ]),
        )
      }),
    )

    test(
      'what is not there is ENOENT, what is there already EEXIST',
      withTree((tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)

        refused('ENOENT', () => tree.lookup(root, 'b'))
        refused('ENOTDIR', () => tree.lookup(file, 'b'))
        refused('EEXIST', () => tree.createFile(root, 'a', CREATION))
        refused('EEXIST', () => tree.createFolder(root, 'a', FOLDER))
        refused('ENOENT', () => tree.unlink(root, 'b', false))
      }),
    )

    test(
      'folders hold folders, and know what is above',
      withTree((tree, root) => {
        const a = tree.createFolder(root, 'a', FOLDER)
        const b = tree.createFolder(a, 'b', FOLDER)

        expect(tree.attributes(tree.parent(b)).ino).toBe(tree.attributes(a).ino)
        expect(tree.attributes(tree.parent(root)).ino).toBe(tree.attributes(root).ino)
        refused('ENOTEMPTY', () => tree.unlink(root, 'a', true))
        refused('EISDIR', () => tree.unlink(a, 'b', false))
        tree.unlink(a, 'b', true)
        tree.unlink(root, 'a', true)
        expect(tree.list(root)).toEqual([])
      }),
    )

    test(
      'a file that was unlinked lives while it is held',
      withTree((tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)
        put(tree, file, 'still here', 0)
        const open = tree.open(file, true)
        tree.unlink(root, 'a', false)

        open.write(0, Buffer.from('STILL'))
        const bytes = Buffer.alloc(20)
        expect(bytes.toString('latin1', 0, open.read(0, bytes))).toBe('STILL here')
        expect(tree.attributes(file)).toMatchObject({ links: 0, size: 10 })
        tree.change(file, { size: 5 })
        expect(tree.attributes(file).size).toBe(5)
        open.close()
        refused('ENOENT', () => tree.lookup(root, 'a'))
      }),
    )

    test(
      'a rename takes the place of a file that stays open',
      withTree((tree, root) => {
        const old = tree.createFile(root, 'a', CREATION)
        put(tree, old, 'old', 0)
        const made = tree.createFile(root, 'b', CREATION)
        put(tree, made, 'new', 0)
        tree.rename(root, 'b', root, 'a')

        expect(take(tree, tree.lookup(root, 'a'))).toBe('new')
        expect(take(tree, old)).toBe('old')
        expect(tree.list(root).map((entry) => entry.name)).toEqual(['a'])
      }),
    )

    test(
      'a rename keeps to the rules of rename(2)',
      withTree((tree, root) => {
        const a = tree.createFolder(root, 'a', FOLDER)
        const b = tree.createFolder(a, 'b', FOLDER)
        tree.createFile(root, 'f', CREATION)
        tree.createFolder(root, 'empty', FOLDER)

        refused('EINVAL', () => tree.rename(root, 'a', b, 'c'))
        refused('ENOTDIR', () => tree.rename(root, 'a', root, 'f'))
        refused('EISDIR', () => tree.rename(root, 'f', root, 'a'))
        refused('ENOTEMPTY', () => tree.rename(root, 'empty', root, 'a'))
        tree.rename(root, 'a', root, 'a')
        tree.rename(root, 'a', root, 'empty')
        expect(tree.attributes(tree.parent(b)).ino).toBe(tree.attributes(tree.lookup(root, 'empty')).ino)
        expect(
          tree
            .list(root)
            .map((entry) => entry.name)
            .sort(),
        ).toEqual(['empty', 'f'])
      }),
    )

    test(
      'a file has several names',
      needing('hardLinks', (tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)
        const folder = tree.createFolder(root, 'd', FOLDER)
        tree.link(file, folder, 'b')
        put(tree, tree.lookup(folder, 'b'), 'both', 0)

        expect(tree.attributes(tree.lookup(root, 'a'))).toMatchObject({ links: 2, size: 4 })
        refused('EEXIST', () => tree.link(file, folder, 'b'))
        refused('EPERM', () => tree.link(folder, root, 'c'))
        tree.rename(root, 'a', folder, 'b') // two names of one file: nothing is done
        expect(tree.attributes(file).links).toBe(2)
        tree.unlink(root, 'a', false)
        expect(take(tree, tree.lookup(folder, 'b'))).toBe('both')
        expect(tree.attributes(file).links).toBe(1)
      }),
    )

    test(
      'a link tells where it leads, whatever that is',
      needing('anyLinks', (tree, root) => {
        for (const target of ['/etc/passwd', '../../..', 'nowhere', 'x'.repeat(1000)]) {
          const link = tree.createLink(root, 'l', target, { ...CREATION, mode: 0o777 })
          expect(tree.readLink(tree.lookup(root, 'l'))).toBe(target)
          expect(tree.attributes(link)).toMatchObject({ size: target.length })
          expect(tree.attributes(link).mode & MODE.kind).toBe(MODE.link)
          refused('ENOTDIR', () => tree.lookup(link, 'passwd'))
          tree.unlink(root, 'l', false)
        }
      }),
    )

    test(
      'devices keep their numbers',
      needing('devices', (tree, root) => {
        const device = { major: 259, minor: 70_000 }
        tree.createDevice(root, 'd', { ...CREATION, mode: MODE.block | 0o600 }, device)
        tree.createDevice(root, 'p', { ...CREATION, mode: MODE.fifo | 0o600 }, { major: 0, minor: 0 })

        expect(tree.attributes(tree.lookup(root, 'd'))).toMatchObject({ mode: MODE.block | 0o600, device })
        expect(tree.attributes(tree.lookup(root, 'p'))).toMatchObject({ mode: MODE.fifo | 0o600 })
      }),
    )

    test(
      'what was never written reads as zeros',
      withTree((tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)
        put(tree, file, 'end', 1_000_000)
        const open = tree.open(file, false)
        const bytes = Buffer.alloc(100, 1)

        expect(open.read(500_000, bytes)).toBe(100)
        expect(bytes.every((byte) => byte === 0)).toBe(true)
        expect(open.read(1_000_000, bytes)).toBe(3)
        expect(open.read(1_000_003, bytes)).toBe(0)
        expect(open.read(5 * GIB, bytes)).toBe(0)
        open.close()
      }),
    )

    test(
      'offsets beyond 4 GiB',
      withTree((tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)
        put(tree, file, 'far', 4 * GIB - 1)

        expect(tree.attributes(file).size).toBe(4 * GIB + 2)
        const open = tree.open(file, false)
        const bytes = Buffer.alloc(5)
        expect(open.read(4 * GIB - 2, bytes)).toBe(4)
        expect(bytes.toString('latin1', 0, 4)).toBe('\0far')
        open.close()
        expect(tree.attributes(file).used).toBeLessThan(GIB)
      }),
    )

    test(
      'what is cut off is gone when the file grows again',
      withTree((tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)
        put(tree, file, 'x'.repeat(100_000), 0)
        tree.change(file, { size: 10 })
        tree.change(file, { size: 100_000 })

        const open = tree.open(file, false)
        const bytes = Buffer.alloc(100_000, 1)
        expect(open.read(0, bytes)).toBe(100_000)
        expect(bytes.subarray(10).every((byte) => byte === 0)).toBe(true)
        open.close()
      }),
    )

    tryDescriptions({ withTree, needing })

    test(
      'a folder that was removed takes nothing new',
      withTree((tree, root) => {
        const folder = tree.createFolder(root, 'a', FOLDER)
        tree.unlink(root, 'a', true)

        expect(tree.list(folder)).toEqual([])
        refused('ENOENT', () => tree.createFile(folder, 'b', CREATION))
      }),
    )

    test(
      'a node is found again by its identity',
      withTree(async (tree, root) => {
        const file = tree.createFile(root, 'a', CREATION)
        put(tree, file, 'me', 0)
        const identity = tree.identity(file)
        await tree.flush()

        expect(take(tree, tree.revive(identity))).toBe('me')
        expect(tree.attributes(tree.revive(tree.identity(root))).ino).toBe(tree.attributes(root).ino)
        refused('ESTALE', () => tree.revive('no such word'))
      }),
    )
  })
}

function put(tree: Provider, node: FileNode, text: string, position: number): void {
  const open = tree.open(node, true)
  open.write(position, Buffer.from(text, 'latin1'))
  open.close()
}

function take(tree: Provider, node: FileNode): string {
  const open = tree.open(node, false)
  const bytes = Buffer.alloc(tree.attributes(node).size)
  const count = open.read(0, bytes)
  open.close()
  return bytes.toString('latin1', 0, count)
}

/** Checks that `work` is refused to the guest with this error. */
export function refused(code: ErrnoName, work: () => unknown): void {
  let thrown: unknown
  try {
    work()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(FileError)
  expect((thrown as FileError).code).toBe(code)
}
