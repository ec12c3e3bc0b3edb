import { open } from 'node:fs/promises'

/** Makes what was renamed in the folder last through a power cut, where the system can. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined) // not possible on Windows
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}
