import { mkdir, open, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { asVmmError } from '../model/errors'
import type { BlockSource } from './block-source'
import { writeTarget, type ExportTarget } from './export'
import { ovfEnvelope, type Appliance } from './ovf-envelope'
import { refuseCancelled, type OnProgress } from './progress'
import { convertDisk } from './qemu-img'
import { padded, TAR_BLOCK, tarHeader } from './tar'

export interface OvaExport extends ExportTarget, Omit<Appliance, 'disks'> {
  disks: {
    source: BlockSource
    /** Size that the guest sees. */
    bytes: number
  }[]
  /** Folder for the disks before they are packed; made and removed. */
  scratch: string
  signal?: AbortSignal | undefined
  onProgress?: OnProgress | undefined
}

interface Packed {
  name: string
  path: string
  bytes: number
}

const CHUNK_BYTES = 1024 * 1024
const DESCRIPTION = 'appliance.ovf'

/** Writes a machine as one OVA, its disks as compressed VMDK. As whole or absent as `exportDisk`. */
export async function exportOva({ disks, scratch, signal, onProgress, ...machine }: OvaExport): Promise<void> {
  await writeTarget(machine, signal, async (file) => {
    try {
      await mkdir(scratch, { recursive: true, mode: 0o700 })
      const packed: Packed[] = []
      for (const [index, disk] of disks.entries()) {
        const step = disks.length === 1 ? 'Compressing' : `Compressing disk ${index + 1} of ${disks.length}`
        const name = `disk${index + 1}.vmdk`
        const path = join(scratch, name)
        await convertDisk({
          source: disk.source,
          format: 'vmdk',
          options: { subformat: 'streamOptimized' },
          to: path,
          signal,
          onProgress: (share) =>
            onProgress?.({ step, done: Math.round(share * disk.bytes), total: disk.bytes, unit: 'bytes' }),
        })
        packed.push({ name, path, bytes: (await stat(path)).size })
      }
      const described = packed.map(({ name, bytes }, index) => ({
        file: name,
        fileBytes: bytes,
        bytes: disks[index]?.bytes ?? 0,
      }))
      await writeArchive(file, ovfEnvelope({ ...machine, disks: described }), packed, signal, onProgress)
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  })
}

/** The description comes first, as the standard wants it. */
async function writeArchive(
  file: string,
  description: string,
  disks: readonly Packed[],
  signal: AbortSignal | undefined,
  onProgress: OnProgress | undefined,
): Promise<void> {
  const archive = await open(file, 'wx', 0o600)
  const now = new Date()
  try {
    const text = Buffer.from(description)
    await archive.writeFile(tarHeader(DESCRIPTION, text.length, now))
    await archive.writeFile(text)
    await pad(archive, text.length)
    const total = disks.reduce((sum, { bytes }) => sum + bytes, 0)
    let done = 0
    for (const { name, path, bytes } of disks) {
      await archive.writeFile(tarHeader(name, bytes, now))
      for await (const chunk of chunksOf(path)) {
        refuseCancelled(signal, 'The export')
        await archive.writeFile(chunk)
        done += chunk.length
        onProgress?.({ step: 'Packing', done, total, unit: 'bytes' })
      }
      await pad(archive, bytes)
      await rm(path)
    }
    await archive.writeFile(Buffer.alloc(2 * TAR_BLOCK))
    await archive.sync()
  } catch (error) {
    throw asVmmError(error, 'pack the appliance')
  } finally {
    await archive.close()
  }
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  const file = await open(path, 'r')
  yield* file.createReadStream({ highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>
}

async function pad(archive: FileHandle, bytes: number): Promise<void> {
  await archive.writeFile(Buffer.alloc(padded(bytes) - bytes))
}
