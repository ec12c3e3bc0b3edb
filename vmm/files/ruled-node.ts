import { createHash } from 'node:crypto'
import type { RuledPath } from './file-rules'
import type { Attributes, FileName, FileNode, Provider } from './provider'

/** Something in a tree under rules, by the way it was walked to: another name of the same file is another node. */
export class RuledNode {
  holds = 1
  /** Those below that are held and have a name. */
  readonly children = new Map<string, RuledNode>()
  /** Its name was removed; it still counts for quotas. */
  isNameless = false
  /** What the rules say of it, as of `seen`. */
  path: RuledPath | null = null
  seen = ''

  constructor(
    readonly place: TreePlace,
    /** null for the top. */
    public parent: RuledNode | null,
    public name: FileName,
    /** Whether a rule has put another tree here. */
    readonly isRedirect: boolean,
  ) {}

  get inner(): FileNode {
    return this.place.inner
  }

  get provider(): Provider {
    return this.place.provider
  }

  get share(): string {
    return this.place.share
  }
}

/** A node of a provider, held; for a top or where a rule leads to with its path, bytes from the top of the share. */
export interface TreePlace {
  readonly share: string
  readonly provider: Provider
  readonly inner: FileNode
  readonly path: string
}

/** Where it lies in its own share. */
export function pathOf(node: RuledNode, name?: FileName): string {
  const names = name === undefined ? [] : [name]
  let at = node
  for (; at.parent && !at.isRedirect; at = at.parent) names.unshift(at.name)
  return `${at.place.path}/${names.join('/')}`.replace(/\/+/g, '/')
}

const INO_BITS = 53

/** Numbers of two shares that are seen in one tree do not meet. */
export function inoIn(share: string, top: string, ino: number): number {
  if (share === top) return ino
  const salt = createHash('sha256').update(share).digest().readBigUInt64LE()
  return Number(BigInt.asUintN(INO_BITS, BigInt(ino) ^ salt))
}

export function attributesIn(node: RuledNode, top: string): Attributes {
  const attributes = node.provider.attributes(node.inner)
  return { ...attributes, ino: inoIn(node.share, top, attributes.ino) }
}
