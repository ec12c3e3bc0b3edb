import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFinished } from 'vitest'
import { endMachines } from './machine-processes'

/** A fresh folder that is removed, with all in it and all machines that run in it, when the test ends. */
export function temporaryFolder(): string {
  const { folder, remove } = makeFolder()
  onTestFinished(remove)
  return folder
}

/** The same for a whole file of tests; to be called at its top. */
export function temporaryFolderForFile(): string {
  const { folder, remove } = makeFolder()
  afterAll(remove)
  return folder
}

function makeFolder() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'vivarium-test-')))
  const remove = async () => {
    await endMachines(folder)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
  return { folder, remove }
}
