import { describe, expect, test } from 'vitest'
import { BY_GUEST, nodeAt, outcomeOf, putFile, writeAt } from '../support/overlay-trees'
import { refused } from '../support/provider-trial'
import { FOLDER, rule, ruledFiles } from '../support/ruled-trees'

describe('quotas', () => {
  const bytes = (most: number, ...paths: string[]) => [rule('bytes', 'quota', paths, { bytes: most })]

  test('what is there counts, and more than the limit is refused with its rule', () => {
    const { ruled, reports } = ruledFiles(bytes(10, '/q'), 'q/a', 'b')
    const a = nodeAt(ruled, 'q/a')

    writeAt(ruled, a, 0, '1234567890')
    refused('EDQUOT', () => writeAt(ruled, a, 10, '1'))
    refused('EDQUOT', () => writeAt(ruled, a, 2 ** 40, '1'))
    refused('EDQUOT', () => ruled.change(a, { size: 11 }))
    writeAt(ruled, a, 5, 'again')
    writeAt(ruled, nodeAt(ruled, 'b'), 0, 'as much as there may be')
    expect(reports.at(-1)).toMatchObject({ path: '/q/a', rule: 'bytes', index: 0, action: 'quota' })
  })

  test('what becomes shorter or goes away makes room', () => {
    const { ruled } = ruledFiles(bytes(10, '/q'), 'q/')
    const q = nodeAt(ruled, 'q')
    const a = putFile(ruled, q, 'a', '1234567890')

    ruled.change(a, { size: 4 })
    const b = putFile(ruled, q, 'b', '')
    writeAt(ruled, b, 0, '123456')
    ruled.drop(b)
    refused('EDQUOT', () => writeAt(ruled, a, 4, '1'))
    ruled.unlink(q, 'a', false)
    refused('EDQUOT', () => putFile(ruled, q, 'c', '1')) // it is still held
    ruled.drop(a)
    writeAt(ruled, nodeAt(ruled, 'q/c'), 0, '1234')
    ruled.rename(q, 'c', q, 'b')
    writeAt(ruled, nodeAt(ruled, 'q/b'), 4, '56')
  })

  test('what is moved in or out counts there', () => {
    const { ruled } = ruledFiles(bytes(10, '/q'), 'q/12345678', 'five!')
    const [top, q] = [ruled.root(), nodeAt(ruled, 'q')]

    refused('EDQUOT', () => ruled.rename(top, 'five!', q, 'b'))
    ruled.rename(q, '12345678', top, 'a')
    ruled.rename(top, 'five!', q, 'b')
    refused('EDQUOT', () => writeAt(ruled, nodeAt(ruled, 'q/b'), 5, '123456'))
    refused('EXDEV', () => ruled.rename(top, 'q', top, 'elsewhere'))
  })

  test('no file lies within a quota and outside of it', () => {
    const { ruled } = ruledFiles(bytes(20, '/q'), 'q/a', 'b')
    const [top, q] = [ruled.root(), nodeAt(ruled, 'q')]

    refused('EXDEV', () => ruled.link(nodeAt(ruled, 'b'), q, 'b'))
    refused('EXDEV', () => ruled.link(nodeAt(ruled, 'q/a'), top, 'a'))
    ruled.link(nodeAt(ruled, 'q/a'), q, 'b')
    refused('EXDEV', () => ruled.rename(q, 'a', top, 'a'))
    writeAt(ruled, nodeAt(ruled, 'q/b'), 0, '12345678901234567890') // one file, counted once
    ruled.unlink(q, 'a', false)
    refused('EDQUOT', () => putFile(ruled, q, 'c', '1'))
  })

  test('files and folders are counted', () => {
    const { ruled } = ruledFiles([rule('files', 'quota', ['/q/**'], { files: 4 })], 'q/a', 'q/b')
    const q = nodeAt(ruled, 'q')

    ruled.createFolder(q, 'c', FOLDER)
    expect(outcomeOf(() => ruled.createFile(q, 'd', BY_GUEST))).toBe('EDQUOT')
    expect(outcomeOf(() => ruled.link(nodeAt(ruled, 'q/a'), q, 'd'))).toBe('EDQUOT')
    ruled.unlink(q, 'c', true)
    ruled.createLink(q, 'd', 'a', BY_GUEST)
  })
})
