import { expect, test } from 'vitest'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { randomOperation } from '../support/overlay-operations'
import { describeTree, openOverlay, unclosed } from '../support/overlay-trees'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

const ROUNDS = 12
const OPERATIONS = 250

test.each(['an empty', 'a filled'])(
  'an overlay over %s tree does what a tree in memory does, also after it was opened anew',
  async (lowerIs) => {
    const { random } = seededRandom()
    for (let round = 0; round < ROUNDS; round++) {
      const folder = temporaryFolder()
      const [lower, model] = [new MemoryProvider(), new MemoryProvider()]
      for (let count = 0; lowerIs === 'a filled' && count < 150; count++) {
        const { run, text } = randomOperation(random)
        if (text.includes('hard link')) continue // two files above, one in the model
        run(lower)
        run(model)
      }
      const before = describeTree(lower)
      let overlay = openOverlay(folder, unclosed(lower))
      const done: string[] = []
      for (let count = 0; count < OPERATIONS; count++) {
        const { run, text } = randomOperation(random)
        const expected = run(model)
        done.push(`${text} = ${expected}`)
        expect(run(overlay), done.slice(-5).join('\n')).toBe(expected)
        if (random() < 0.02) {
          expect(describeTree(overlay), done.join('\n')).toEqual(describeTree(model))
          overlay.close()
          await overlay.ended()
          overlay = openOverlay(folder, unclosed(lower))
          expect(describeTree(overlay), `opened after\n${done.join('\n')}`).toEqual(describeTree(model))
        }
      }
      expect(describeTree(overlay)).toEqual(describeTree(model))
      expect(describeTree(lower)).toEqual(before)
      overlay.close()
      await overlay.ended()
    }
  },
)
