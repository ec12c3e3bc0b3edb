import { closeSync, fsyncSync, openSync } from 'node:fs'

/** Makes what was made or renamed in the folder last through a power cut, where the system can. */
export function syncFolderNow(folder: string): void {
  let descriptor: number
  try {
    descriptor = openSync(folder, 'r')
  } catch {
    return // not possible on Windows
  }
  try {
    fsyncSync(descriptor)
  } catch {
    // nor on every file system
  } finally {
    closeSync(descriptor)
  }
}
