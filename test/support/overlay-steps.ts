import type { Provider } from '../../vmm/files/provider'
import { randomOperation, type GuestOperation } from './overlay-operations'
import { pick } from './random-values'
import { randomFrom } from './seeded-random'

/** Names the last step that was begun: an attribute of the top folder. */
const MARK = 'user.step'
/** A file that is always there, to be synced. */
export const SYNCED = 'synced'

export interface OverlayStep {
  number: number
  operation: GuestOperation
  /** What follows it. */
  then: 'nothing' | 'flush' | 'sync' | 'pause' | 'copy'
  path: string
}

/** What the writer with this seed does, without end, numbered from `first` on. */
export function* stepsOf(seed: number, first: number): Generator<OverlayStep> {
  const random = randomFrom(seed)
  for (let number = first; ; number++) {
    const operation = randomOperation(random)
    const calm = random() < 0.7
    const then = calm ? 'nothing' : pick(random, ['flush', 'sync', 'pause', 'pause', 'flush', 'sync', 'copy'] as const)
    yield { number, operation, then, path: SYNCED }
  }
}

/** Marks the step, and takes it; returns what came of it. */
export function takeStep(tree: Provider, step: OverlayStep): string {
  markStep(tree, step.number)
  return step.operation.run(tree)
}

export function markStep(tree: Provider, number: number): void {
  const root = tree.root()
  tree.setXattr(root, MARK, Buffer.from(String(number)), 'either')
  tree.drop(root)
}

/** The last step that was begun; 0 for none. */
export function markedStep(tree: Provider): number {
  const root = tree.root()
  try {
    return tree.xattrs(root).includes(MARK) ? Number(Buffer.from(tree.xattr(root, MARK)).toString()) : 0
  } finally {
    tree.drop(root)
  }
}
