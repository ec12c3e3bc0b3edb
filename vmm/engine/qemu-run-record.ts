import { readFile, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as v from 'valibot'
import type { LiveDisk } from './qemu-disks'

const FILE = 'run.json'

const RunRecord = v.object({
  /** Of the domain, for people. */
  name: v.string(),
  accelerator: v.string(),
  /** Milliseconds since the Unix epoch. */
  startedAt: v.number(),
  screen: v.boolean(),
  /** How many network cards it has. */
  nics: v.optional(v.number(), 0),
  /** Whether it has a card for its files. */
  filesCard: v.optional(v.boolean(), false),
  disks: v.array(
    v.object({ id: v.string(), layer: v.string(), backend: v.string(), served: v.optional(v.boolean(), false) }),
  ),
})
/** What a later main has to know of a machine to take it over. */
export type RunRecord = Omit<v.InferOutput<typeof RunRecord>, 'disks'> & { disks: LiveDisk[] }

export async function writeRunRecord(folder: string, record: RunRecord): Promise<void> {
  const file = path.join(folder, FILE)
  await writeFile(`${file}.partial`, JSON.stringify(record), { mode: 0o600 })
  await rename(`${file}.partial`, file)
}

/** Null when there is none that can be read. */
export async function readRunRecord(folder: string): Promise<RunRecord | null> {
  const text = await readFile(path.join(folder, FILE), 'utf8').catch(() => '')
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), RunRecord), text)
  return read.success ? read.output : null
}
