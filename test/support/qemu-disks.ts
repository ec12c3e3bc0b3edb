import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlockSource } from '../../vmm/images/block-source'

/** Why there is no qemu-img here, for the title of a skipped test; '' when there is. */
export const NO_QEMU_IMG = spawnSync('qemu-img', ['--version']).status === 0 ? '' : '(needs qemu-img)'

/** Runs qemu-img; fails with what it says. */
export function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A raw disk of some MiB with data at both ends, holes between, and every sector of data different. */
export async function patternDisk(folder: string, name = 'pattern.raw'): Promise<{ path: string; content: Buffer }> {
  const content = Buffer.alloc(5 * 1024 * 1024)
  for (const [from, to] of [
    [0, 700],
    [4100, 4900],
    [10_200, 10_240],
  ] as const) {
    for (let sector = from; sector < to; sector += 1)
      content.fill(`sector ${sector}; `, sector * 512, (sector + 1) * 512)
  }
  const path = join(folder, name)
  const file = await open(path, 'w')
  await file.writeFile(content).finally(() => file.close())
  return { path, content }
}

/** What QEMU reads from the disk `source`, all of it. */
export async function readDisk(source: BlockSource, folder: string): Promise<Buffer> {
  const to = join(folder, `read-${randomUUID()}.raw`)
  qemuImg('convert', '-O', 'raw', `json:${JSON.stringify(source)}`, to)
  try {
    return await readFile(to)
  } finally {
    await rm(to)
  }
}
