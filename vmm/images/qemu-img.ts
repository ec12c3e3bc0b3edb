import { constants, copyFile, open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as v from 'valibot'
import { asVmmError, VmmError } from '../model/errors'
import { diskSource, fileSource, type BlockSource, type DiskFormat } from './block-source'
import { runProgram, type ProgramOptions } from './program'
import { qemuImgFailure } from './qemu-img-failure'
import { requireQemuProgram } from './qemu-programs'
import { syncFolder } from './sync-folder'

export interface Conversion {
  source: BlockSource
  format: DiskFormat
  /** Absolute path; it appears when it is whole, and replaces what is there. */
  to: string
  /** Options of the format's driver, such as `{ subformat: 'streamOptimized' }`. */
  options?: Readonly<Record<string, string>>
  signal?: AbortSignal | undefined
  /** How much is done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined
}

/**
 * Writes the disk `source` as a file of `format`; runs of zeros become holes where the format has them. What fails, is
 * cancelled or dies with this process leaves no file.
 */
export async function convertDisk({ source, format, to, options = {}, signal, onProgress }: Conversion): Promise<void> {
  const partial = `${to}.partial`
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  try {
    await rm(partial, { force: true })
    await writeFile(partial, '', { flag: 'wx', mode: 0o600 }) // qemu-img keeps the mode of a file that is there
    const args = ['convert', '-p', '-O', format, ...settings, jsonName(source), partial]
    await runQemuImg(args, 'convert the disk', { signal, scratch: partial, onStdout: progressReader(onProgress) })
    await syncFile(partial)
    if (signal?.aborted) throw new VmmError('cancelled', 'The conversion was cancelled.')
    await rename(partial, to)
    await syncFolder(dirname(to))
  } catch (error) {
    await rm(partial, { force: true })
    throw asVmmError(error, 'convert the disk')
  }
}

const Info = v.object({ 'virtual-size': v.pipe(v.number(), v.minValue(0)) })

/** What QEMU reads from the header of `source`: the size that a guest sees, bytes. */
export async function diskInfo(source: BlockSource, signal?: AbortSignal): Promise<{ virtualBytes: number }> {
  // 'info' opens no backing files, and refuses a description that has some
  const top = { ...source, ...('backing' in source && { backing: null }) }
  const { stdout } = await runQemuImg(['info', '--output=json', jsonName(top)], 'read the disk', { signal })
  return { virtualBytes: parseOutput(Info, stdout)['virtual-size'] }
}

export interface DiskCheck {
  /** Neither errors nor leaks; also when the format has nothing to check. */
  clean: boolean
  errors: number
  /** Clusters that are reserved and not used: a waste, no danger. */
  leaks: number
  /** Whether `repairCopy` may help. */
  repairable: boolean
  /** For people, one sentence; empty when clean. */
  message: string
}

const CheckReport = v.object({
  'check-errors': v.number(),
  corruptions: v.optional(v.number(), 0),
  leaks: v.optional(v.number(), 0),
})

/** qemu-img's exit statuses of a check that came to its end; 63 says that the format has none. */
const CHECKED = [0, 2, 3]
const NO_CHECK = 63

/** Looks whether the structure of the file at `path` is sound; reads its tables, not its content. */
export async function checkDisk(path: string, format: DiskFormat, signal?: AbortSignal): Promise<DiskCheck> {
  const sound: DiskCheck = { clean: true, errors: 0, leaks: 0, repairable: false, message: '' }
  if (format === 'raw') return sound
  try {
    const args = ['check', '--output=json', jsonName(diskSource(format, fileSource(path)))]
    const { status, stdout } = await runQemuImg(args, 'check the disk', { signal, also: [...CHECKED, NO_CHECK] })
    if (status === NO_CHECK) return sound
    const { corruptions, leaks, 'check-errors': failed } = parseOutput(CheckReport, stdout)
    const errors = corruptions + failed
    const repairable = format === 'qcow2' && errors + leaks > 0
    return { clean: errors + leaks === 0, errors, leaks, repairable, message: checkMessage(errors, leaks) }
  } catch (error) {
    const { kind, message } = asVmmError(error, 'check the disk')
    if (kind !== 'damaged') throw error
    return { clean: false, errors: 1, leaks: 0, repairable: false, message }
  }
}

function checkMessage(errors: number, leaks: number): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`
  if (errors > 0) return `The structure of the disk has ${count(errors, 'error')}.`
  return leaks > 0 ? `The disk wastes ${count(leaks, 'cluster')}.` : ''
}

/**
 * Makes a repaired copy of the disk at `path` in `to`; the original is not touched, because a repair can lose what was
 * still readable. Kind `damaged` when the copy is not sound afterwards.
 */
export async function repairCopy(path: string, format: DiskFormat, to: string, signal?: AbortSignal): Promise<void> {
  const partial = `${to}.partial`
  try {
    await copyFile(path, partial, constants.COPYFILE_FICLONE)
    const args = ['check', '-r', 'all', '--output=json', jsonName(diskSource(format, fileSource(partial)))]
    await runQemuImg(args, 'repair the disk', { signal, scratch: partial, also: CHECKED })
    const { errors, message } = await checkDisk(partial, format, signal)
    if (errors > 0) throw new VmmError('damaged', `The disk could not be repaired. ${message}`)
    await syncFile(partial)
    await rename(partial, to)
    await syncFolder(dirname(to))
  } catch (error) {
    await rm(partial, { force: true })
    throw asVmmError(error, 'repair the disk')
  }
}

type RunOptions = Pick<ProgramOptions, 'signal' | 'cwd' | 'onStdout' | 'scratch'> & { also?: readonly number[] }

/** Runs qemu-img; fails when its exit status is neither 0 nor one of `also`. */
export async function runQemuImg(args: string[], doing: string, { also = [], ...options }: RunOptions) {
  const outcome = await runProgram(await requireQemuProgram('qemu-img'), args, options)
  if (outcome.status === 0 || (outcome.status !== null && also.includes(outcome.status))) return outcome
  throw qemuImgFailure(outcome, doing)
}

/** A file name for QEMU that is nothing but the description itself. */
function jsonName(source: BlockSource): string {
  return `json:${JSON.stringify(source)}`
}

/** Reads '    (12.50/100%)\r', which qemu-img -p writes again and again. */
function progressReader(onProgress: ((share: number) => void) | undefined): (text: string) => void {
  let kept = ''
  return (text) => {
    kept = (kept + text).slice(-64)
    const last = [...kept.matchAll(/\((\d{1,3}\.\d+)\/100%\)/g)].at(-1)?.[1]
    if (last !== undefined) onProgress?.(Math.min(1, Number(last) / 100))
  }
}

function parseOutput<S extends v.GenericSchema>(schema: S, stdout: string): v.InferOutput<S> {
  try {
    return v.parse(schema, JSON.parse(stdout))
  } catch (error) {
    throw new VmmError('engine', 'qemu-img answered in a way that Vivarium does not understand.', { cause: error })
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+')
  await handle.sync().finally(() => handle.close())
}
