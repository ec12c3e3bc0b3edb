import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll } from 'vitest'
import { findQemuProgram } from '../../vmm/images/qemu-programs'
import { endMachines } from './machine-processes'

export { endMachines, machinesIn } from './machine-processes'

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

/** The same at the end of a file of tests; to be called at its top, after its folder was made. */
export function endMachinesAfterFile(dataFolder: string): void {
  afterAll(() => endMachines(dataFolder))
}
