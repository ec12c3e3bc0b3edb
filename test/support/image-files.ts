import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const MIB = 1024 * 1024

/** Writes a small disk with one bootable partition; `bytes` may cut it off. Returns its path. */
export async function writeDisk(folder: string, name: string, bytes = MIB): Promise<string> {
  const disk = Buffer.alloc(MIB)
  disk[446] = 0x80
  disk[450] = 0x83
  disk.writeUInt32LE(1, 454)
  disk.writeUInt32LE(MIB / 512 - 1, 458)
  disk.writeUInt16LE(0xaa55, 510)
  return await write(folder, name, disk, bytes)
}

/** Writes the descriptors of a bootable ISO; `bytes` may cut it off. Returns its path. */
export async function writeIso(folder: string, name: string, bytes = 20 * 2048): Promise<string> {
  const iso = Buffer.alloc(20 * 2048)
  iso.write('\x01CD001\x01', 16 * 2048, 'latin1')
  iso.write('TEST_DISC'.padEnd(32), 16 * 2048 + 40)
  iso.writeUInt32LE(20, 16 * 2048 + 80)
  iso.writeUInt16LE(2048, 16 * 2048 + 128)
  iso.write('\0CD001\x01EL TORITO SPECIFICATION', 17 * 2048, 'latin1')
  return await write(folder, name, iso, bytes)
}

async function write(folder: string, name: string, content: Buffer, bytes: number): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  await truncate(path, bytes)
  return path
}
