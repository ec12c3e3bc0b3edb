import { expect, test } from 'vitest'
import { explainFile } from '../../vmm/files/file-rules-explain'
import type { FileRule } from '../../vmm/model/policy-files'
import type { ShareMode } from '../../vmm/model/share'
import { rule } from '../support/ruled-trees'

const RULES = [
  rule('watch', 'log', ['**']),
  rule('no keys', 'hide', ['*.key']),
  rule('docs', 'read-only', ['/docs']),
  rule('closed', 'deny', ['/closed']),
  rule('away', 'redirect', ['/conf'], { shares: ['work'], to: 'other:/x' }),
]

function explained(path: string, mode: ShareMode = 'direct', once: FileRule[] = []) {
  const { uses, ...rest } = explainFile(RULES, { share: 'work', mode, path, once })
  return { ...rest, uses: uses.map(({ allowed, rule: by, index }) => [allowed, by, index]) }
}

test('each use has the rule that decides it', () => {
  expect(explained('/a')).toMatchObject({
    uses: [
      [true, '', -1],
      [true, '', -1],
      [true, '', -1],
    ],
    logged: ['watch'],
    leadsTo: '',
  })
  expect(explained('docs/my.key').uses).toEqual([
    [false, 'no keys', 1],
    [false, 'no keys', 1],
    [false, 'no keys', 1],
  ])
  expect(explained('/closed/a/b').uses).toEqual([
    [true, 'closed', 3],
    [false, 'closed', 3],
    [false, 'closed', 3],
  ])
  expect(explained('/docs/a').sentence).toBe("work:/docs/a can be read and not changed: 'docs' decides.")
})

test('the mode of the share counts where no rule forbids', () => {
  expect(explained('/a', 'read-only').uses[2]).toEqual([false, '', -1])
  expect(explained('/docs/a', 'read-only').uses[2]).toEqual([false, 'docs', 2])
})

test('what is allowed once comes first', () => {
  const once = [rule('allowed once', 'allow', ['/docs/a'])]
  expect(explained('/docs/a', 'direct', once).uses[2]).toEqual([true, 'allowed once', -1])
  expect(explained('/docs/b', 'direct', once).uses[2]).toEqual([false, 'docs', 2])
})

test('a redirect is followed to where its own rules decide', () => {
  expect(explained('/conf/sub/a')).toMatchObject({
    leadsTo: 'other:/x/sub/a',
    sentence: "work:/conf/sub/a is other:/x/sub/a by 'away'. other:/x/sub/a can be read and changed: no rule decides.",
  })
  expect(explained('/conf/my.key').uses[0]).toEqual([false, 'no keys', 1])
})
