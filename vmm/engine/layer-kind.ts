/** One way to keep the content of layers: files in one folder, each content lying upon another one or a raw image. */
export interface LayerKind {
  /** The content that a file of the folder is of, or null for a file that is none of ours. */
  idOf(name: string): string | null
  /** What machines open. */
  path(id: string): string
  /** Makes an empty content of `bytes`, which reads as what is below: the content `parent`, the raw image, or zeros. */
  create(id: string, below: { bytes: number; parent: string | null; base: string | null }): Promise<void>
  /** Makes a content that nobody has open larger. */
  grow(id: string, bytes: number): Promise<void>
  /** What the content lies upon, or null. Throws when it cannot be read. */
  parentOf(id: string): Promise<string | null>
  /** Brings what `lower` holds into `upper`, which lies upon it and reads the same before and after. */
  merge(upper: string, lower: string): Promise<void>
  /** Room that it takes up on the host, bytes. */
  bytes(id: string): Promise<number>
  remove(id: string): Promise<void>
}

/** The contents from `top` down, each lying upon the next. */
export async function chainOfKind(kind: LayerKind, top: string): Promise<string[]> {
  const chain: string[] = []
  for (let id: string | null = top; id !== null && !chain.includes(id);) {
    chain.push(id)
    id = await kind.parentOf(id)
  }
  return chain
}
