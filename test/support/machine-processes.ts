import { existsSync, readdirSync } from 'node:fs'
import { readlink } from 'node:fs/promises'
import path from 'node:path'

/** Process ids of every machine that runs in `folder` or below. */
export async function machinesIn(folder: string): Promise<number[]> {
  const found: number[] = []
  if (!existsSync('/proc/self')) return found
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const place = await readlink(`/proc/${name}/cwd`).catch(() => '')
    if (place.startsWith(folder + path.sep) && name !== String(process.pid)) found.push(Number(name))
  }
  return found
}

/** Ends every machine that runs in `folder` or below: they outlive the Vivarium that started them. */
export async function endMachines(folder: string): Promise<void> {
  for (const pid of await machinesIn(folder)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      continue // it has ended by itself
    }
    while ((await machinesIn(folder)).includes(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
