import { setImmediate } from 'node:timers/promises'
import { MODE, type FileName, type FileNode, type OpenFile, type Provider } from './provider'

/** Bytes copied before others get their turn: some milliseconds. */
const PIECE = 1024 * 1024
/** Zeros of this length, in their place, are left out: a hole. */
const HOLE = 64 * 1024
const ZEROS = Buffer.alloc(HOLE)

/**
 * Copies a file to a new name of another tree, and to its disk, piece by piece with turns for others between them; holes
 * stay holes. Throws the signal's reason when that is aborted.
 */
export async function copyFile(
  { tree, node }: { tree: Provider; node: FileNode },
  { target, folder, name }: { target: Provider; folder: FileNode; name: FileName },
  signal?: AbortSignal,
): Promise<void> {
  const { mode } = tree.attributes(node)
  const made = target.createFile(folder, name, { mode: 0o600, uid: 0, gid: 0 })
  const [from, to] = [tree.open(node, false), target.open(made, true)]
  try {
    const piece = Buffer.alloc(PIECE)
    let size = 0
    for (let read = from.read(0, piece); read > 0; read = from.read(size, piece)) {
      writeAround(to, size, piece.subarray(0, read))
      size += read
      if (read < PIECE) break
      await setImmediate()
      signal?.throwIfAborted()
    }
    target.change(made, { size })
    target.change(made, { mode: mode & MODE.permissions & 0o1777, modified: tree.attributes(node).modified })
    await to.sync(false)
  } finally {
    from.close()
    to.close()
    target.drop(made)
  }
}

/** Writes what is not zeros. */
function writeAround(to: OpenFile, position: number, data: Buffer): void {
  let begun = 0
  for (let at = 0; at < data.length; at += HOLE) {
    const part = data.subarray(at, at + HOLE)
    if (!part.equals(ZEROS.subarray(0, part.length))) continue
    if (begun < at) to.write(position + begun, data.subarray(begun, at))
    begun = at + part.length
  }
  if (begun < data.length) to.write(position + begun, data.subarray(begun))
}
