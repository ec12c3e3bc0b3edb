import { describe, expect, it } from 'vitest'
import type { FileChangeView } from '../../src-main/contract'
import {
  changeRows,
  chosenOf,
  growChanges,
  isAsked,
  keysOf,
  withNewFolders,
  type ChangeNode,
} from '../../src-renderer/composables/change-tree'
import { crumbsOf, joined, shareNameFault, shareNameFor } from '../../src-renderer/composables/host-folder'
import { textDiff } from '../../src-renderer/composables/text-diff'
import { changeSentence, sizeChange } from '../../src-renderer/file-words'

const change = (path: string, fields: Partial<FileChangeView> = {}): FileChangeView => ({
  path,
  key: `key of ${path}`,
  kind: 'changed',
  type: 'file',
  bytesBefore: 1,
  bytesAfter: 2,
  from: '',
  conflict: false,
  ...fields,
})
const FOLDER = { kind: 'added', type: 'folder' } as const
const CHANGES = [
  change('/src/a.c'),
  change('/src/new', FOLDER),
  change('/src/new/deep/b10.c', { kind: 'added' }),
  change('/src/new/deep/b9.c', { kind: 'added' }),
  change('/src/new/deep', FOLDER),
  change('/readme', { kind: 'deleted', conflict: true }),
]
const drawn = (nodes: readonly ChangeNode[], closed: string[] = []): string[] =>
  changeRows(nodes, new Set(closed)).map(({ node, level }) => `${'  '.repeat(level - 1)}${node.name}`)

describe('changes as a tree', () => {
  const tree = growChanges(CHANGES)

  it('lie in their folders, folders first, numbers as people count', () => {
    expect(drawn(tree)).toEqual(['src', '  new', '    deep', '      b9.c', '      b10.c', '  a.c', 'readme'])
    const [src, fresh] = changeRows(tree, new Set())
    expect([src?.node.change, src?.place, src?.of, src?.parent]).toEqual([null, 1, 2, -1])
    expect([fresh?.node.change?.kind, fresh?.parent, fresh?.open]).toEqual(['added', 0, true])
  })

  it('are folded folder by folder', () => {
    expect(drawn(tree, ['key of /src/new'])).toEqual(['src', '  new', '  a.c', 'readme'])
    expect(drawn(tree, ['/src'])).toEqual(['src', 'readme'])
  })

  it('are chosen with all that lies below', () => {
    const src = tree[0]!
    expect(keysOf(src)).toHaveLength(5)
    expect(chosenOf(src, new Set())).toBe('none')
    expect(chosenOf(src, new Set(['key of /src/a.c']))).toBe('some')
    expect(chosenOf(src, new Set(keysOf(src)))).toBe('all')
  })

  it('take the new folders with them that they lie in, and no others', () => {
    const paths = withNewFolders(CHANGES, new Set(['key of /src/new/deep/b9.c'])).map(({ path }) => path)
    expect(paths).toEqual(['/src/new', '/src/new/deep/b9.c', '/src/new/deep'])
    expect(withNewFolders(CHANGES, new Set(['key of /src/a.c'])).map(({ path }) => path)).toEqual(['/src/a.c'])
  })

  it('are found by path and by kind', () => {
    const found = (text: string, filter: Parameters<typeof isAsked>[2]) =>
      CHANGES.filter((each) => isAsked(each, text, filter)).map(({ path }) => path)
    expect(found(' B9', 'all')).toEqual(['/src/new/deep/b9.c'])
    expect(found('', 'deleted')).toEqual(['/readme'])
    expect(found('src', 'conflict')).toEqual([])
    expect(found('', 'conflict')).toEqual(['/readme'])
  })

  it('that look alike are still two', () => {
    const twins = growChanges([change('/\ufffd', { key: '1' }), change('/\ufffd', { key: '2' })])
    expect(twins.map(({ id }) => id)).toEqual(['1', '2'])
  })

  it('tell sizes before and after', () => {
    expect(sizeChange({ type: 'file', bytesBefore: 1024, bytesAfter: 2048 })).toBe('1 KiB → 2 KiB')
    expect([
      sizeChange({ type: 'file', bytesBefore: null, bytesAfter: 5 }),
      sizeChange({ type: 'file', bytesBefore: 5, bytesAfter: 5 }),
      sizeChange({ type: 'file', bytesBefore: null, bytesAfter: null }),
    ]).toEqual(['5 B', '5 B', ''])
  })

  it('tells where what was renamed has been', () => {
    const renamed = change('/b', { kind: 'renamed', from: '/a' })
    expect([changeSentence(renamed), changeSentence(change('/b'))]).toEqual(['renamed from /a', 'changed'])
    expect([isAsked(renamed, 'A', 'renamed'), isAsked(renamed, 'c', 'all')]).toEqual([true, false])
  })
})

describe('what differs between two texts', () => {
  const lines = (before: string, after: string): string[] =>
    textDiff(before, after).lines.map(
      ({ kind, text }) => `${{ same: ' ', added: '+', removed: '-', gap: '@' }[kind]}${text}`,
    )

  it('is told line by line, with a few lines around it', () => {
    const before = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`)
    const after = before.with(9, 'another')
    expect(lines(before.join('\n'), after.join('\n'))).toEqual([
      '@',
      ' line 7',
      ' line 8',
      ' line 9',
      '-line 10',
      '+another',
      ' line 11',
      ' line 12',
      ' line 13',
    ])
    const told = textDiff(before.join('\n'), after.join('\n'))
    expect([told.added, told.removed, told.lines[4]?.before, told.lines[5]?.after]).toEqual([1, 1, 10, 10])
  })

  it('is all of a file that is new or gone, and nothing of one that is the same', () => {
    expect(lines('', 'a\nb\n')).toEqual(['+a', '+b'])
    expect(lines('a\n', '')).toEqual(['-a'])
    expect(lines('a\n', 'a\n')).toEqual([])
  })

  it('is bounded, and shows nothing that could mislead', () => {
    const long = textDiff('', 'x\n'.repeat(5000))
    expect([long.lines.length, long.cut, long.added]).toEqual([2000, true, 5000])
    const other = textDiff('a\n'.repeat(5000), 'b\n'.repeat(5000))
    expect([other.removed, other.added]).toEqual([5000, 5000])
    expect(lines('', '\u202eevil\u0007\r\n')).toEqual(['+\ufffdevil\ufffd'])
    expect(textDiff('', 'y'.repeat(100_000)).lines[0]?.text).toHaveLength(1000)
  })
})

describe('folders of the host', () => {
  it('lead down from the top, on either kind of system', () => {
    expect(crumbsOf('/home/ada')).toEqual([
      { word: '/', path: '/' },
      { word: 'home', path: '/home' },
      { word: 'ada', path: '/home/ada' },
    ])
    expect(crumbsOf('C:\\Users\\Ada').map(({ path }) => path)).toEqual(['C:\\', 'C:\\Users', 'C:\\Users\\Ada'])
    expect([joined('/', 'home'), joined('/home', 'ada'), joined('C:\\', 'Users')]).toEqual([
      '/home',
      '/home/ada',
      'C:\\Users',
    ])
  })

  it('propose a name that a share can have and no other has', () => {
    expect(shareNameFor('/home/ada/My Sources (2)', [])).toBe('My-Sources-2')
    expect(shareNameFor('/srv/docs/', ['Docs', 'docs-2'])).toBe('docs-3')
    expect([shareNameFor('/', []), shareNameFor('/..', []), shareNameFor('C:\\', [])]).toEqual(['share', 'share', 'C'])
    expect(shareNameFor('/Zürich', [])).toBe('Zurich')
    const long = shareNameFor(`/${'x'.repeat(100)}`, ['x'.repeat(31)])
    expect([long.length, shareNameFault(long, ['x'.repeat(31)])]).toEqual([31, ''])
    expect(shareNameFault('docs', ['DOCS'])).toMatch(/has this name/)
    expect(shareNameFault('a b', [])).toMatch(/named with/)
  })
})
