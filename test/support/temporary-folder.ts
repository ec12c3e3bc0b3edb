import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, onTestFinished } from 'vitest'

/** A fresh folder that is removed, with all in it, when the test ends. */
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
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }) }
}
