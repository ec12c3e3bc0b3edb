import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished } from 'vitest'

/** Why there can be no small disk here, for the title of a skipped test; '' when there can. */
export const NO_SMALL_DISK = whyNot()

/** A file system of `kib` KiB, which goes when the test ends. Only where `NO_SMALL_DISK` is ''. */
export function smallDisk(kib: number): string {
  const folder = mount(kib)
  onTestFinished(() => unmount(folder))
  return folder
}

/** The same for a whole `describe`; its folder is there once the tests begin. */
export function smallDiskForAll(kib: number): { folder: string } {
  const disk = { folder: '' }
  beforeAll(() => {
    disk.folder = mount(kib)
  })
  afterAll(() => unmount(disk.folder))
  return disk
}

/** Leaves `kib` KiB free on the disk that `folder` is on. Returns the file that takes the room. */
export function fillDisk(folder: string, kib: number): string {
  const { bavail, bsize } = statfsSync(folder)
  const file = join(folder, 'filler')
  writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize - kib * 1024)))
  return file
}

function mount(kib: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'vivarium-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k,mode=700`, 'vivarium-test', folder], { stdio: 'pipe' })
  } catch (error) {
    rmdirSync(folder)
    throw error
  }
  return folder
}

function unmount(folder: string): void {
  execFileSync('umount', ['-l', folder])
  rmdirSync(folder)
}

function whyNot(): string {
  if (process.platform !== 'linux') return 'needs tmpfs'
  try {
    unmount(mount(64))
    return ''
  } catch {
    return 'needs the right to mount'
  }
}
