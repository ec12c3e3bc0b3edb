import type { FileHandle } from 'node:fs/promises'

/** Bytes that can be read at any position: a file, or a part of one. */
export interface ByteRange {
  readonly bytes: number
  /** Fewer bytes than `length` only at the end, or when the file got shorter meanwhile. */
  read(position: number, length: number): Promise<Buffer>
}

export function fileRange(file: FileHandle, bytes: number): ByteRange {
  return {
    bytes,
    read: async (position, length) => {
      const part = Buffer.alloc(Math.max(0, Math.min(length, bytes - position)))
      let filled = 0
      while (filled < part.length) {
        const { bytesRead } = await file.read(part, filled, part.length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return part.subarray(0, filled)
    },
  }
}

/** The `bytes` from `offset` on of `whole`. */
export function partOf(whole: ByteRange, offset: number, bytes: number): ByteRange {
  return {
    bytes,
    read: (position, length) => whole.read(offset + position, Math.max(0, Math.min(length, bytes - position))),
  }
}
