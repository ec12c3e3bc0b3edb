import { readdirSync, readFileSync } from 'node:fs'
import { readlink } from 'node:fs/promises'
import path from 'node:path'
import { afterAll } from 'vitest'
import { findQemuProgram } from '../../vmm/images/qemu-programs'

/** Why there is no QEMU here, for the title of a skipped suite; '' when there is. */
export const NO_QEMU = (await findQemuProgram('qemu-system-x86_64')) === null ? '(needs QEMU)' : ''

/** Process id of the QEMU of a domain; 0 when it left none. */
export function qemuPid(dataFolder: string, domainId: string): number {
  try {
    return Number(readFileSync(path.join(dataFolder, 'run', domainId, 'pid'), 'latin1'))
  } catch {
    return 0
  }
}

/** Process ids of every machine that runs in the data folder. */
export async function machinesIn(dataFolder: string): Promise<number[]> {
  const found: number[] = []
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const folder = await readlink(`/proc/${name}/cwd`).catch(() => '')
    if (folder.startsWith(path.join(dataFolder, 'run') + path.sep)) found.push(Number(name))
  }
  return found
}

/** Ends every machine of the data folder: they outlive the Vivarium that started them. */
export async function endMachines(dataFolder: string): Promise<void> {
  for (const pid of await machinesIn(dataFolder)) {
    process.kill(pid, 'SIGKILL')
    while ((await machinesIn(dataFolder)).includes(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The same at the end of a file of tests; to be called at its top, after its folder was made. */
export function endMachinesAfterFile(dataFolder: string): void {
  afterAll(() => endMachines(dataFolder))
}
