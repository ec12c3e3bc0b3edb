import { open, rename, rm, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { asVmmError, VmmError } from '../model/errors'
import { diskSource, fileSource, rawSource } from '../images/block-source'
import { safeText } from '../model/safe-text'
import { createOverlay } from './qemu-overlay'
import type { Qmp } from './qemu-link'

/**
 * A state file of QEMU: a qcow2 file whose one internal snapshot holds memory and devices and no disk, and after it a
 * seal of 32 bytes, by which a file that was cut off is told from a whole one:
 *
 *      0  8  magic "VIVQSTAT"
 *      8  8  length of the qcow2 file, u64 little-endian
 *     16  16 zero
 *
 * It is QEMU itself that writes and reads it (snapshot-save and snapshot-load), so that no byte of it passes through
 * Vivarium, in every version since 6.0.
 */
const SEAL = 'VIVQSTAT'
const SEAL_BYTES = 32
const QCOW2_MAGIC = 0x514649fb
const NODE = 'machine-state'
const TAG = 'machine'
/** The disk of a state file, which nobody uses. */
const NO_DISK_BYTES = 64 * 1024
/** How long writing or reading a state may take, milliseconds: some gigabytes on a slow disk. */
const WITHIN_MS = 30 * 60_000
const LOOK_EVERY_MS = 20
/** A disk with less room than QEMU writes at a time is full, bytes. */
const FULL_BYTES = 1024 * 1024

/** Writes memory and devices of a stopped machine to `file`, whole or not at all. Returns its size, bytes. */
export async function writeState(qmp: Qmp, file: string): Promise<number> {
  const partial = `${file}.partial`
  try {
    await rm(partial, { force: true })
    await (await open(partial, 'wx', 0o600)).close()
    await createOverlay(partial, { bytes: NO_DISK_BYTES })
    await qmp.run('blockdev-add', { 'node-name': NODE, ...diskSource('qcow2', fileSource(partial)) })
    try {
      await runJob(qmp, 'snapshot-save')
    } finally {
      await qmp.run('blockdev-del', { 'node-name': NODE })
    }
    const bytes = await seal(partial)
    await rename(partial, file)
    return bytes
  } catch (error) {
    const full = await isFull(partial)
    await rm(partial, { force: true })
    throw full ? noRoom(error) : error
  }
}

/**
 * Brings memory and devices from `file` into a machine that has not run. QEMU writes to what it loads from; it gets a
 * temporary layer upon the file, which stays as it is and may be loaded by others at the same time.
 */
export async function loadState(qmp: Qmp, file: string, runFolder: string): Promise<void> {
  const scratch = join(runFolder, 'state.qcow2')
  const { bytes } = await readSeal(file)
  try {
    // room for what a newer QEMU may add
    await createOverlay(scratch, { bytes: Math.ceil(bytes / NO_DISK_BYTES) * NO_DISK_BYTES * 2 })
    const state = { ...rawSource(fileSource(file)), 'read-only': true }
    const below = diskSource('qcow2', fileSource(scratch), state)
    await qmp.run('blockdev-add', { 'node-name': NODE, ...diskSource('qcow2', below) })
    await runJob(qmp, 'snapshot-load')
    await qmp.run('blockdev-del', { 'node-name': NODE })
  } catch (error) {
    const { kind, message } = asVmmError(error, 'resume the machine')
    if (kind !== 'engine') throw error
    throw damaged(file, `does not fit this machine or is damaged (${safeText(message, 200)})`, error)
  } finally {
    await rm(scratch, { force: true })
  }
}

/** Throws kind `damaged` for anything that cannot be a whole state file. */
export async function checkState(file: string): Promise<void> {
  await readSeal(file)
}

/** Ends what an earlier main has begun and not seen the end of. */
export async function clearJobs(qmp: Qmp): Promise<void> {
  for (const { id, status } of await qmp.run('query-jobs', {})) {
    if (status !== 'concluded') await concluded(qmp, id)
    await qmp.run('job-dismiss', { id })
  }
  const nodes = await qmp.run('query-named-block-nodes', {})
  if (nodes.some((node) => node['node-name'] === NODE)) await qmp.run('blockdev-del', { 'node-name': NODE })
}

async function runJob(qmp: Qmp, command: 'snapshot-save' | 'snapshot-load'): Promise<void> {
  await qmp.run(command, { 'job-id': command, tag: TAG, vmstate: NODE, devices: [NODE] })
  const error = await concluded(qmp, command)
  await qmp.run('job-dismiss', { id: command })
  if (!error) return
  throw new VmmError('engine', safeText(error, 300), { context: { command } })
}

/** QEMU calls a full disk an input/output error when it writes a state. */
async function isFull(file: string): Promise<boolean> {
  const { bavail, bsize } = await statfs(dirname(file))
  return bavail * bsize < FULL_BYTES
}

function noRoom(cause: unknown): VmmError {
  return new VmmError('disk-full', 'There is no room for the state of the machine on the disk.', {
    hint: 'Free some space on the disk that holds the Vivarium data folder and try again.',
    cause,
  })
}

/** Waits for the end of a job; returns what went wrong, or ''. */
async function concluded(qmp: Qmp, id: string): Promise<string> {
  const deadline = performance.now() + WITHIN_MS
  for (;;) {
    const job = (await qmp.run('query-jobs', {}, WITHIN_MS)).find((each) => each.id === id)
    if (!job) return ''
    if (job.status === 'concluded') return job.error
    if (performance.now() > deadline) throw new VmmError('timeout', 'QEMU did not finish with the state in time.')
    await delay(LOOK_EVERY_MS)
  }
}

async function seal(file: string): Promise<number> {
  const handle = await open(file, 'r+')
  try {
    const { size } = await handle.stat()
    const block = Buffer.alloc(SEAL_BYTES)
    block.write(SEAL, 0, 'latin1')
    block.writeBigUInt64LE(BigInt(size), 8)
    await handle.write(block, 0, SEAL_BYTES, size)
    await handle.sync()
    return size + SEAL_BYTES
  } finally {
    await handle.close()
  }
}

async function readSeal(file: string): Promise<{ bytes: number }> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw damaged(file, 'is missing', error)
  })
  try {
    const found = await handle.stat()
    const head = Buffer.alloc(4)
    const tail = Buffer.alloc(SEAL_BYTES)
    if (!found.isFile() || found.size < SEAL_BYTES * 2) throw damaged(file, 'is not a state file')
    await handle.read(head, 0, 4, 0)
    if (head.readUInt32BE(0) !== QCOW2_MAGIC) throw damaged(file, 'is not a state file')
    await handle.read(tail, 0, SEAL_BYTES, found.size - SEAL_BYTES)
    const whole = tail.toString('latin1', 0, 8) === SEAL && Number(tail.readBigUInt64LE(8)) === found.size - SEAL_BYTES
    if (!whole) throw damaged(file, 'is cut short')
    return { bytes: found.size }
  } finally {
    await handle.close()
  }
}

function damaged(file: string, what: string, cause?: unknown): VmmError {
  return new VmmError('damaged', `The saved state ${what}.`, {
    hint: 'Revert to a snapshot or start the domain afresh.',
    context: { folder: dirname(file) },
    cause,
  })
}
