import { FileError } from './file-error'
import type { FileName, FileNode, Provider } from './provider'
import type { RuledNode } from './ruled-node'

/** What it is, the way to it from the top, and whether its name is gone. */
export function identityIn(node: RuledNode): string {
  const names: FileName[] = []
  for (let at = node; at.parent; at = at.parent) names.unshift(at.name)
  return JSON.stringify([node.provider.identity(node.inner), node.isNameless, ...names])
}

/**
 * The node, held once. `nameless` makes one of something that was below a folder and has no name any more, whose hold it
 * takes over. Throws ESTALE, and what the rules refuse on the way.
 */
export function reviveIn(
  provider: Provider,
  identity: string,
  nameless: (folder: RuledNode, name: FileName, inner: FileNode) => RuledNode,
): FileNode {
  const { word, isNameless, names } = parse(identity)
  const last = isNameless ? names.pop() : undefined
  const node = walk(provider, names)
  if (last === undefined) {
    if (node.provider.identity(node.inner) === word) return node
    provider.drop(node)
    throw new FileError('ESTALE', 'something else is there now')
  }
  try {
    return nameless(node, last, node.provider.revive(word))
  } finally {
    provider.drop(node)
  }
}

function walk(provider: Provider, names: readonly FileName[]): RuledNode {
  let node = provider.root()
  for (const name of names) {
    const above = node
    try {
      node = provider.lookup(above, name)
    } finally {
      provider.drop(above)
    }
  }
  return node as RuledNode
}

function parse(identity: string): { word: string; isNameless: boolean; names: FileName[] } {
  try {
    const [word, isNameless, ...names] = JSON.parse(identity) as unknown[]
    const areNames = names.every((name): name is string => typeof name === 'string')
    if (typeof word === 'string' && typeof isNameless === 'boolean' && areNames) return { word, isNameless, names }
  } catch {
    // no identity of ours
  }
  throw new FileError('ESTALE', 'no identity')
}
