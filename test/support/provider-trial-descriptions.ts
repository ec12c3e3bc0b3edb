import { expect, test } from 'vitest'
import { MODE } from '../../vmm/files/provider'
import { CREATION, refused, type Tools } from './provider-trial'

const LATER = { sec: 2_000_000_000, nsec: 123_456_789 }

/** What a tree tells of its files besides their bytes. */
export function tryDescriptions({ withTree, needing }: Tools): void {
  test(
    'modes and times are kept',
    withTree((tree, root) => {
      const file = tree.createFile(root, 'a', CREATION)
      tree.change(file, { mode: 0o711, accessed: { sec: 1, nsec: 0 }, modified: { sec: 1_000_000_000, nsec: 0 } })

      expect(tree.attributes(file)).toMatchObject({
        mode: MODE.file | 0o711,
        accessed: { sec: 1, nsec: 0 },
        modified: { sec: 1_000_000_000, nsec: 0 },
      })
      tree.change(file, { modified: 'now' })
      expect(tree.attributes(file).modified.sec).toBeGreaterThan(1_600_000_000)
    }),
  )

  test(
    'a program runs as its owner',
    needing('setUserId', (tree, root) => {
      const file = tree.createFile(root, 'a', CREATION)
      tree.change(file, { mode: 0o4711 })

      expect(tree.attributes(file).mode).toBe(MODE.file | 0o4711)
    }),
  )

  test(
    'times are kept to the nanosecond',
    needing('nanoseconds', (tree, root) => {
      const file = tree.createFile(root, 'a', CREATION)
      tree.change(file, { modified: LATER })

      expect(tree.attributes(file).modified).toEqual(LATER)
    }),
  )

  test(
    'owners are who the guest says',
    needing('owners', (tree, root) => {
      const file = tree.createFile(root, 'a', { mode: 0o600, uid: 1234, gid: 5678 })
      expect(tree.attributes(file)).toMatchObject({ uid: 1234, gid: 5678 })
      tree.change(file, { uid: 1, gid: 2 })
      expect(tree.attributes(file)).toMatchObject({ uid: 1, gid: 2 })
    }),
  )

  test(
    'extended attributes',
    needing('xattrs', (tree, root) => {
      const file = tree.createFile(root, 'a', CREATION)
      tree.setXattr(file, 'user.one', Buffer.from([0, 1, 255]), 'create')
      tree.setXattr(file, 'user.two', Buffer.alloc(0), 'either')

      expect([...tree.xattr(file, 'user.one')]).toEqual([0, 1, 255])
      expect(tree.xattrs(file).sort()).toEqual(['user.one', 'user.two'])
      refused('EEXIST', () => tree.setXattr(file, 'user.one', Buffer.alloc(1), 'create'))
      refused('ENODATA', () => tree.setXattr(file, 'user.none', Buffer.alloc(1), 'replace'))
      tree.removeXattr(file, 'user.one')
      refused('ENODATA', () => tree.xattr(file, 'user.one'))
      refused('ENODATA', () => tree.removeXattr(file, 'user.one'))
    }),
  )

  test(
    'names of any bytes, up to 255',
    needing('anyNames', (tree, root) => {
      const names = ['x'.repeat(255), '\xff\xfe', 'a\nb', ' ', '...', 'CON', 'a\\b', 'a:b', 'Ä', 'A', 'a']
      for (const each of names) tree.drop(tree.createFile(root, each, CREATION))

      expect(
        tree
          .list(root)
          .map((entry) => entry.name)
          .sort(),
      ).toEqual(names.sort())
      for (const each of names) tree.drop(tree.lookup(root, each))
    }),
  )
}
