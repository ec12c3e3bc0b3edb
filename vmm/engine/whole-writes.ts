import { writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'

/**
 * A file system that fills up takes a part of a write and says so only by its length; the next write then fails. Both
 * of these write on until all is taken or the host refuses.
 */
export async function writeWhole(file: FileHandle, data: Uint8Array, length: number, position: number): Promise<void> {
  for (let done = 0; done < length;) {
    const { bytesWritten } = await file.write(data, done, length - done, position + done)
    done += bytesWritten
  }
}

export function writeWholeSync(file: number, data: Uint8Array, at: number, length: number, position: number): void {
  for (let done = 0; done < length;) done += writeSync(file, data, at + done, length - done, position + done)
}
