import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildWriter } from '../support/killed-writers'
import { temporaryFolder } from '../support/temporary-folder'
import { note, report } from './figures'

const FILES = 100_000
const IN_ONE = 500
const ROUNDS = 3

interface Walked {
  count: number
  attachMs: number
  walkMs: number
  grownMb: number
}

/** A folder with many files is attached copy on write and looked at whole, in a process of its own. */
test('a large tree', async () => {
  const host = temporaryFolder()
  for (let folder = 0; folder < FILES / IN_ONE; folder++) {
    fs.mkdirSync(join(host, `folder${folder}`))
    for (let file = 0; file < IN_ONE; file++) fs.writeFileSync(join(host, `folder${folder}`, `a file ${file}`), '')
  }
  const walker = await buildWriter('tree-walker.ts', temporaryFolder())
  const walks = Array.from({ length: ROUNDS }, () => {
    const env = { ...process.env, TMPDIR: temporaryFolder() }
    const said = execFileSync(process.execPath, ['--expose-gc', walker, host], { encoding: 'utf8', env })
    return JSON.parse(said) as Walked
  })
  for (const { count } of walks) expect(count).toBe(FILES + FILES / IN_ONE + 1)
  const of = (what: keyof Walked): number[] => walks.map((walk) => walk[what])
  report({ name: 'attach 100,000 files', values: of('attachMs'), unit: ' ms', atMost: 1000 })
  report({ name: 'memory that 100,000 files take after a walk', values: of('grownMb'), unit: ' MB', atMost: 100 })
  note({ name: 'a walk through 100,000 files in the file process', values: of('walkMs'), unit: ' ms' })
})
