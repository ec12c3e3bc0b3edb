import { describe, expect, test } from 'vitest'
import { BY_GUEST, nodeAt, putFile, textAt } from '../support/overlay-trees'
import { refused } from '../support/provider-trial'
import { filled, FOLDER, namesIn, rule, ruledFiles, ruledTree } from '../support/ruled-trees'

describe('hidden', () => {
  const HIDE = [rule('no secrets', 'hide', ['/secret', '*.key'])]

  test('it is not there, by no way', () => {
    const { ruled, reports } = ruledFiles(HIDE, 'secret/a', 'b/my.key', 'b/c')
    const b = nodeAt(ruled, 'b')

    expect(namesIn(ruled, '/')).toEqual(['b'])
    expect(namesIn(ruled, 'b')).toEqual(['c'])
    refused('ENOENT', () => nodeAt(ruled, 'secret/a'))
    refused('ENOENT', () => nodeAt(ruled, 'b/my.key'))
    refused('ENOENT', () => ruled.unlink(b, 'my.key', false))
    refused('ENOENT', () => ruled.rename(b, 'my.key', b, 'mine'))
    expect(reports.map(({ path, rule: by, action }) => [path, by, action])).toContainEqual([
      '/b/my.key',
      'no secrets',
      'hide',
    ])
  })

  test('nothing can be made in its place, whether something is there or not', () => {
    const { ruled } = ruledFiles(HIDE, 'secret/a', 'f')
    const top = ruled.root()

    for (const name of ['secret', 'not-there.key']) {
      refused('EACCES', () => ruled.createFile(top, name, BY_GUEST))
      refused('EACCES', () => ruled.createFolder(top, name, FOLDER))
      refused('EACCES', () => ruled.createLink(top, name, 'f', BY_GUEST))
      refused('EACCES', () => ruled.link(nodeAt(ruled, 'f'), top, name))
      refused('EACCES', () => ruled.rename(top, 'f', top, name))
    }
  })

  test('a folder is not taken from where the rules hide what is in it', () => {
    const { ruled } = ruledFiles([rule('r', 'hide', ['/a/secret', '/d/*/x'])], 'a/secret', 'a/b', 'd/e/x', 'f/x')
    const top = ruled.root()

    refused('EXDEV', () => ruled.rename(top, 'a', top, 'z'))
    refused('EXDEV', () => ruled.rename(nodeAt(ruled, 'd'), 'e', top, 'e'))
    refused('EXDEV', () => ruled.rename(top, 'f', nodeAt(ruled, 'd'), 'f'))
    ruled.rename(nodeAt(ruled, 'd'), 'e', nodeAt(ruled, 'd'), 'other')
    refused('ENOENT', () => nodeAt(ruled, 'd/other/x'))
    ruled.rename(top, 'f', top, 'g')
    expect(textAt(ruled, 'g/x')).toBe('f/x')
  })

  test('folders do not tell by their links how many folders are hidden in them', () => {
    const { ruled } = ruledFiles(HIDE, 'a/one/', 'a/two.key/')

    expect(ruled.attributes(nodeAt(ruled, 'a')).links).toBe(1)
  })

  test('case counts unless the rule says otherwise', () => {
    const { ruled } = ruledFiles([rule('r', 'hide', ['/Secret'], { ignoreCase: true })], 'SECRET', 'other')

    expect(namesIn(ruled, '/')).toEqual(['other'])
    refused('ENOENT', () => nodeAt(ruled, 'SECRET'))
    refused('EACCES', () => ruled.createFile(ruled.root(), 'secreT', BY_GUEST))
  })
})

describe('denied and read-only', () => {
  test('what is denied is listed, and every use refused', () => {
    const { ruled } = ruledFiles([rule('r', 'deny', ['/d', '/f'])], 'd/a', 'f')
    const [top, d, f] = [ruled.root(), nodeAt(ruled, 'd'), nodeAt(ruled, 'f')]

    expect(namesIn(ruled, '/')).toEqual(['d', 'f'])
    for (const use of [
      () => ruled.list(d),
      () => ruled.lookup(d, 'a'),
      () => ruled.createFile(d, 'b', BY_GUEST),
      () => ruled.open(f, false),
      () => ruled.change(f, { size: 0 }),
      () => ruled.xattrs(f),
      () => ruled.link(f, top, 'g'),
      () => ruled.rename(top, 'f', top, 'g'),
      () => ruled.unlink(top, 'f', false),
    ]) {
      refused('EACCES', use)
    }
  })

  test('what is read-only can be read, and nothing makes it writable', () => {
    const { ruled } = ruledFiles([rule('r', 'read-only', ['/ro'])], 'ro/a', 'b')
    const [top, ro, a] = [ruled.root(), nodeAt(ruled, 'ro'), nodeAt(ruled, 'ro/a')]

    expect(textAt(ruled, 'ro/a')).toBe('ro/a')
    for (const use of [
      () => ruled.open(a, true),
      () => ruled.change(a, { mode: 0o600 }),
      () => ruled.setXattr(a, 'user.a', Buffer.of(1), 'either'),
      () => ruled.removeXattr(a, 'user.a'),
      () => ruled.link(a, top, 'mine'),
      () => ruled.rename(ro, 'a', top, 'mine'),
      () => ruled.rename(top, 'ro', top, 'rw'),
      () => ruled.rename(top, 'b', ro, 'a'),
      () => ruled.createFolder(ro, 'n', FOLDER),
      () => ruled.unlink(ro, 'a', false),
    ]) {
      refused('EROFS', use)
    }
  })

  test('the first rule that decides counts, further down too', () => {
    const { ruled } = ruledFiles(
      [rule('tmp', 'allow', ['/ro/tmp']), rule('r', 'read-only', ['/ro'])],
      'ro/tmp/',
      'ro/a',
    )

    putFile(ruled, nodeAt(ruled, 'ro/tmp'), 'made', 'x')
    refused('EROFS', () => ruled.createFile(nodeAt(ruled, 'ro'), 'b', BY_GUEST))
  })
})

describe('rules change while something is in use', () => {
  test('what is open, found or named stops at once, and goes on at once', () => {
    const { ruled, book } = ruledFiles([], 'a/b')
    const [a, b] = [nodeAt(ruled, 'a'), nodeAt(ruled, 'a/b')]
    const file = ruled.open(b, true)
    const read = (): number => file.read(0, Buffer.alloc(10))
    const write = (): void => file.write(0, Buffer.from('X'))

    expect(read()).toBe(3)
    book.set([rule('r', 'read-only', ['/a'])])
    refused('EROFS', write)
    expect(read()).toBe(3)
    book.set([rule('r', 'deny', ['/a'])])
    refused('EACCES', read)
    refused('EACCES', () => ruled.list(a))
    book.set([rule('r', 'hide', ['/a'])])
    refused('ENOENT', read)
    refused('ENOENT', () => ruled.attributes(b))
    book.set([rule('r', 'hide', ['/a'])], [rule('once', 'allow', ['/a/b', '/a'])])
    write()
    expect(textAt(ruled, 'a/b')).toBe('X/b')
  })

  test('what was moved is ruled by where it is now', () => {
    const { ruled, book } = ruledFiles([], 'a/b/c', 'd/')
    const c = nodeAt(ruled, 'a/b/c')
    ruled.rename(nodeAt(ruled, 'a'), 'b', nodeAt(ruled, 'd'), 'e')
    book.set([rule('r', 'deny', ['/d/e/c'])])

    refused('EACCES', () => ruled.open(c, false))
    book.set([rule('r', 'deny', ['/a'])])
    ruled.open(c, false).close()
  })

  test('what has lost its name is ruled by the one it had', () => {
    const { ruled, book } = ruledFiles([], 'a', 'b')
    const a = nodeAt(ruled, 'a')
    ruled.rename(ruled.root(), 'b', ruled.root(), 'a')
    book.set([rule('r', 'deny', ['/a'])])

    refused('EACCES', () => ruled.open(a, false))
  })
})

describe('redirects', () => {
  const TO = [rule('away', 'redirect', ['/conf'], { to: 'other:/x' })]

  test('another tree is seen at a place, under its own rules', () => {
    const inner = filled('conf/mine', 'f')
    const other = filled('x/theirs', 'x/hidden', 'y')
    const { ruled } = ruledTree(inner, [...TO, rule('r', 'hide', ['/x/hidden'], { shares: ['other'] })], { other })

    expect(namesIn(ruled, 'conf')).toEqual(['theirs'])
    expect(textAt(ruled, 'conf/theirs')).toBe('x/theirs')
    refused('ENOENT', () => nodeAt(ruled, 'conf/hidden'))
    putFile(ruled, nodeAt(ruled, 'conf'), 'made', 'new')
    expect(textAt(other, 'x/made')).toBe('new')
    expect(ruled.attributes(ruled.parent(nodeAt(ruled, 'conf'))).ino).toBe(ruled.attributes(ruled.root()).ino)
  })

  test('the place cannot be moved, removed or linked across', () => {
    const { ruled } = ruledTree(filled('f'), TO, { other: filled('x/theirs') })
    const top = ruled.root()

    expect(namesIn(ruled, '/')).toEqual(['conf', 'f'])
    refused('EBUSY', () => ruled.unlink(top, 'conf', true))
    refused('EBUSY', () => ruled.rename(top, 'conf', top, 'g'))
    refused('EEXIST', () => ruled.createFolder(top, 'conf', FOLDER))
    refused('EXDEV', () => ruled.rename(top, 'f', nodeAt(ruled, 'conf'), 'f'))
    refused('EXDEV', () => ruled.link(nodeAt(ruled, 'f'), nodeAt(ruled, 'conf'), 'f'))
  })

  test('one that leads nowhere or into itself ends', () => {
    const { ruled, book } = ruledTree(filled('a/'), TO)

    expect(namesIn(ruled, '/')).toEqual(['a'])
    refused('ENOENT', () => nodeAt(ruled, 'conf'))
    book.set([rule('r', 'redirect', ['/a/b'], { to: 'work:/' })])
    refused('ELOOP', () => nodeAt(ruled, 'a/b'.repeat(1) + '/a/b'.repeat(20)))
    book.set([rule('r', 'redirect', ['/a'], { to: 'work:/b' }), rule('s', 'redirect', ['/b'], { to: 'work:/a' })])
    refused('ELOOP', () => nodeAt(ruled, 'a'))
  })

  test('a rule that changes leaves nobody in the other tree', () => {
    const { ruled, book } = ruledTree(filled('conf/mine'), TO, { other: filled('x/theirs') })
    const file = ruled.open(nodeAt(ruled, 'conf/theirs'), false)
    book.set([])

    refused('ESTALE', () => file.read(0, Buffer.alloc(1)))
    expect(textAt(ruled, 'conf/mine')).toBe('conf/mine')
  })
})

test('uses are noted, the same ones once a second with their number', () => {
  const { ruled, reports, clock } = ruledFiles([rule('watch', 'log', ['/a'])], 'a', 'b')
  for (let count = 0; count < 5; count++) ruled.open(nodeAt(ruled, 'a'), false).close()
  ruled.open(nodeAt(ruled, 'b'), false).close()

  const told = { path: '/a', operation: 'open', rule: 'watch', action: 'log' }
  expect(reports).toMatchObject([{ ...told, count: 1 }])
  clock.advance(1000)
  expect(reports).toMatchObject([
    { ...told, count: 1 },
    { ...told, count: 4 },
  ])
})
