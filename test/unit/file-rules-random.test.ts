import { expect, test } from 'vitest'
import { FileError } from '../../vmm/files/file-error'
import { beginPattern, compilePattern, readName, stepPattern, type Progress } from '../../vmm/files/file-pattern'
import { MODE, type FileNode } from '../../vmm/files/provider'
import { BY_GUEST, bytesOf } from '../support/overlay-trees'
import { filled, rule, ruledTree } from '../support/ruled-trees'
import { seededRandom } from '../support/seeded-random'

const FOLDER = { mode: 0o755, uid: 0, gid: 0 }

/** What patterns mean, tried out in every way there is. */
function slowly(pattern: readonly string[], names: readonly string[]): boolean {
  if (pattern.length === 0) return true
  const [first, ...rest] = pattern
  if (first === '**') return slowly(rest, names) || (names.length > 0 && slowly(pattern, names.slice(1)))
  return names.length > 0 && oneName(first!, names[0]!) && slowly(rest, names.slice(1))
}

function oneName(part: string, name: string): boolean {
  if (part === '') return name === ''
  if (part.startsWith('*')) return oneName(part.slice(1), name) || (name !== '' && oneName(part, name.slice(1)))
  return (
    name !== '' &&
    (part.startsWith('?') || part.codePointAt(0) === name.codePointAt(0)) &&
    oneName(part.slice(1), name.slice(1))
  )
}

test('patterns match what a slow reading of them matches', () => {
  const { random } = seededRandom()
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!
  const word = (letters: string) =>
    Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(letters.split(''))).join('')
  for (let round = 0; round < 5_000; round++) {
    const parts = Array.from({ length: 1 + Math.floor(random() * 3) }, () => (random() < 0.3 ? '**' : word('ab*?')))
    const names = Array.from({ length: Math.floor(random() * 5) }, () => word('ab'))
    const anchored = random() < 0.5
    const text = (anchored ? '/' : '') + parts.join('/')
    const pattern = compilePattern(text, false)
    let progress: Progress = beginPattern(pattern)
    for (const name of names) progress = stepPattern(pattern, progress, readName(name))

    expect(progress === 'matched', `${text} of /${names.join('/')}`).toBe(
      slowly(anchored ? parts : ['**', ...parts], names),
    )
  }
})

test('whoever walks, renames, links and keeps things open never gets at what is hidden or denied', () => {
  const { random } = seededRandom()
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!
  for (let round = 0; round < 20; round++) {
    const inner = filled('a/secret/x', 'a/b/my.key', 'a/b/c', 'd/e/deep/x', 'd/f', 'closed/x', 'closed/y/z', 'g/h/')
    const guarded = new Map<number, string>()
    const rules = [
      rule('hide', 'hide', ['/a/secret', '*.key', '/d/*/deep']),
      rule('deny', 'deny', ['/closed']),
      rule('ro', 'read-only', ['/d/f']),
    ]
    const { ruled, book } = ruledTree(inner, rules)
    guard(
      '/a/secret',
      '/a/secret/x',
      '/a/b/my.key',
      '/d/e/deep',
      '/d/e/deep/x',
      '/closed/x',
      '/closed/y',
      '/closed/y/z',
    )
    const texts = new Set([...guarded.values()].filter(Boolean))
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'x', 'y', 'secret', 'my.key', 'deep', 'closed', '..', '.', 'a/secret']
    const held: FileNode[] = [ruled.root()]
    const files: { read(position: number, into: Uint8Array): number }[] = []

    for (let step = 0; step < 150; step++) {
      const [one, other, name, toName] = [pick(held), pick(held), pick(names), pick(names)]
      attempt(() => {
        const actions = [
          () => held.push(ruled.lookup(one, name)),
          () => held.push(ruled.parent(one)),
          () => ruled.rename(one, name, other, toName),
          () => ruled.link(one, other, name),
          () => held.push(ruled.createFolder(one, name, FOLDER)),
          () => held.push(ruled.createLink(one, name, '../a/secret', BY_GUEST)),
          () => ruled.unlink(one, name, random() < 0.5),
          () => files.push(ruled.open(one, random() < 0.5)),
          () => held.push(ruled.revive(ruled.identity(one))),
          () => book.set(rules),
          () => ruled.list(one).forEach((entry) => expect(hiddenInos()).not.toContain(entry.ino)),
        ]
        pick(actions)()
      })
      for (const node of held) attempt(() => check(node))
    }
    for (const [ino, text] of guarded) if (text) expect(bytesOf(inner, inner.revive(String(ino))).toString()).toBe(text)

    function hiddenInos(): number[] {
      return [...guarded.keys()].slice(0, 5)
    }
    /** Nothing that is guarded may be had in any way; of what is denied, not even its attributes without its folder. */
    function check(node: FileNode): void {
      const { ino, mode } = ruled.attributes(node)
      const isFile = (mode & MODE.kind) === MODE.file
      if (guarded.has(ino) || (isFile && texts.has(bytesOf(ruled, node).toString()))) throw new Error(`a leak: ${ino}`)
    }
    function guard(...paths: string[]): void {
      for (const path of paths) {
        let node = inner.root()
        for (const name of path.split('/').filter(Boolean)) node = inner.lookup(node, name)
        const { ino, mode } = inner.attributes(node)
        guarded.set(ino, (mode & MODE.kind) === MODE.file ? bytesOf(inner, node).toString() : '')
      }
    }
  }
}, 60_000)

function attempt(work: () => unknown): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof FileError)) throw error
  }
}
