import { describe, expect, test } from 'vitest'
import { hasUnsafeText, safeText } from '../../vmm/model/safe-text'
import { below, oddText } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

describe('safeText', () => {
  test.each([
    ['a newline', '\n'],
    ['an escape', '\u001b'],
    ['NUL', '\0'],
    ['DEL', '\u007f'],
    ['a C1 control', '\u009b'],
    ['a line separator', '\u2028'],
    ['a zero-width space', '\u200b'],
    ['a right-to-left mark', '\u200f'],
    ['an Arabic letter mark', '\u061c'],
    ['a right-to-left override', '\u202e'],
    ['an isolate', '\u2066'],
    ['a byte-order mark', '\ufeff'],
    ['an interlinear annotation', '\ufff9'],
    ['a tag character', '\u{e0041}'],
    ['half a character', '\ud800'],
  ])('%s is unsafe, and replaced', (_, unsafe) => {
    expect(hasUnsafeText(`a${unsafe}b`)).toBe(true)
    expect(safeText(`a${unsafe}b`)).toBe('a\ufffdb')
  })

  test.each(['plain', 'Größe', '漢字', 'עברית', 'emoji 😀', 'a b', '"quoted" <tags> & %s'])('%s stays', (text) => {
    expect(hasUnsafeText(text)).toBe(false)
    expect(safeText(text)).toBe(text)
  })

  test('long text ends in an ellipsis at the limit', () => {
    expect(safeText('x'.repeat(10_000))).toBe(`${'x'.repeat(499)}…`)
    expect(safeText('abcdef', 6)).toBe('abcdef')
    expect(safeText('abcdefg', 6)).toBe('abcde…')
  })

  test('whatever goes in, what comes out is short and safe', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 500; round++) {
      const limit = 1 + below(random, 50)

      const shown = safeText(oddText(random, below(random, 100)), limit)

      expect(shown.length).toBeLessThanOrEqual(limit)
      expect(hasUnsafeText(shown)).toBe(false)
    }
  })
})
