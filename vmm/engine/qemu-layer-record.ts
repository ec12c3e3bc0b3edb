import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { syncFolder } from '../images/sync-folder'
import { errorCode, VmmError } from '../model/errors'
import type { DiskSpec } from './machine-spec'

/** Content files are named by 128 random bits. */
export const LAYER_FILE = /^([0-9a-f]{32})\.qcow2$/
const FileId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
/** Of more, the oldest are given up. */
export const KEPT_MOST = 100
const RECORD_LIMIT = 64 * 1024

const Record = v.strictObject({
  format: v.literal('vivarium-layer-1'),
  /** Names the record wherever its file is moved to. */
  id: FileId,
  /** Size of the disk that the guest sees, bytes. */
  bytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** Whether the lowest file lies upon the disk's raw image. */
  overBase: v.boolean(),
  /** The file that only this record's machine writes to; null when all of it is frozen. */
  top: v.nullable(FileId),
  /** The newest frozen file, when there is no top; null for a disk that nobody has written to. */
  parent: v.nullable(FileId),
  /** An empty file upon `top` that the machine is being moved to. */
  next: v.nullable(FileId),
  /** Whether a machine has had it open and did not close it. */
  unclean: v.boolean(),
  /** Damaged files of which mended copies are in use. */
  kept: v.pipe(v.array(FileId), v.maxLength(KEPT_MOST)),
})
export type LayerRecord = v.InferOutput<typeof Record>

/** One disk as a machine opens it. */
export interface OpenLayer {
  /** Content files, the one that is written first, each lying upon the next; absolute paths. */
  files: string[]
  /** Raw image below them, or null. */
  base: string | null
}

/** Of a disk that is not the engine's to open. */
export const NO_LAYER: OpenLayer = { files: [], base: null }

export const newId = (): string => randomBytes(16).toString('hex')

/** The record of a disk that nobody has written to. */
export function newLayerRecord({ bytes, base }: DiskSpec): LayerRecord {
  return {
    format: 'vivarium-layer-1',
    id: newId(),
    bytes,
    overBase: base !== null,
    top: null,
    parent: null,
    next: null,
    unclean: false,
    kept: [],
  }
}

/**
 * The record in `file`, or null when there is none; throws kind `damaged` for anything else. Of a move that was cut off
 * it names the newer file, which lies upon the older one, unless it is wanted `raw`.
 */
export async function readLayerRecord(file: string, options: { raw?: boolean } = {}): Promise<LayerRecord | null> {
  const content = await readFile(file).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  })
  if (content === null) return null
  const read = v.safeParse(v.pipe(v.string(), v.maxLength(RECORD_LIMIT), v.parseJson(), Record), content.toString())
  if (!read.success) {
    throw new VmmError('damaged', "The domain's disk layer cannot be read.", {
      hint: 'Revert to a snapshot, or create the domain anew.',
      context: { file, issue: read.issues[0].message },
    })
  }
  const record = read.output
  return record.next === null || options.raw ? record : { ...record, top: record.next, next: null }
}

/**
 * Writes the record by way of a temporary name, synced: it is the old one or the new one. Its folder is synced too: of
 * two records, the one that gives a file up must be on the disk before the one that takes it.
 */
export async function writeLayerRecord(file: string, record: LayerRecord): Promise<void> {
  const temporary = `${file}.partial`
  try {
    const handle = await open(temporary, 'w', 0o600)
    try {
      await handle.writeFile(JSON.stringify(record))
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
    await syncFolder(dirname(file))
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
