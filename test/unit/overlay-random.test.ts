import { join } from 'node:path'
import { expect, test } from 'vitest'
import { OverlayProvider } from '../../vmm/files/overlay'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { randomOperation } from '../support/overlay-operations'
import { describeTree, KEY, openOverlay, unclosed } from '../support/overlay-trees'
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
      const snapshots: { kept: string; tree: string[] }[] = []
      for (let count = 0; count < OPERATIONS; count++) {
        const { run, text } = randomOperation(random)
        const expected = run(model)
        done.push(`${text} = ${expected}`)
        expect(run(overlay), done.slice(-5).join('\n')).toBe(expected)
        if (random() < 0.02) {
          expect(describeTree(overlay), done.join('\n')).toEqual(describeTree(model))
          if (random() < 0.5) {
            const kept = join(folder, `kept-${count}`)
            await overlay.snapshot(kept)
            snapshots.push({ kept, tree: describeTree(model) })
          }
          overlay.close()
          await overlay.ended()
          overlay = openOverlay(folder, unclosed(lower))
          expect(describeTree(overlay), `opened after\n${done.join('\n')}`).toEqual(describeTree(model))
        }
      }
      expect(describeTree(overlay)).toEqual(describeTree(model))
      expect(describeTree(lower)).toEqual(before)
      for (const { kept, tree } of snapshots) {
        await OverlayProvider.restore(kept, `${kept}-back`)
        const back = OverlayProvider.open({ folder: `${kept}-back`, key: KEY, lower: unclosed(lower) })
        expect(describeTree(back)).toEqual(tree)
        back.close()
        await back.ended()
      }
      overlay.close()
      await overlay.ended()
    }
  },
)
