import { readdirSync } from 'node:fs'
import path from 'node:path'
import { finish, shell, until, type Call } from './vivarium'
import { qemuImg } from './qemu-disks'

/** Writes a text to the beginning of a disk of the guest and waits until it is on the host. */
export async function writeMark(call: Call, id: string, mark: string, disk = 'vda'): Promise<void> {
  const line = `printf %-512s '${mark}' | dd of=/dev/${disk} bs=512 conv=notrunc,fsync 2>/dev/null`
  await shell(call, id, line)
}

/** The text at the beginning of a disk, read from the device and not from the guest's memory. */
export async function readMark(call: Call, id: string, disk = 'vda'): Promise<string> {
  return await shell(call, id, `echo 3 > /proc/sys/vm/drop_caches; head -c 512 /dev/${disk} | tr -d '\\0'`)
}

/** Fills some MiB of a disk with bytes that nobody can guess; returns their checksum as the guest tells it. */
export async function writeNoise(call: Call, id: string, mib: number, disk = 'vda'): Promise<string> {
  await shell(call, id, `dd if=/dev/urandom of=/dev/${disk} bs=1M count=${mib} seek=1 conv=notrunc,fsync 2>/dev/null`)
  return await noiseSum(call, id, mib, disk)
}

export async function noiseSum(call: Call, id: string, mib: number, disk = 'vda'): Promise<string> {
  const line = `echo 3 > /proc/sys/vm/drop_caches; dd if=/dev/${disk} bs=1M count=${mib} skip=1 2>/dev/null | sha256sum`
  return (await shell(call, id, line)).slice(0, 64)
}

/** Starts a domain and waits for its agent. */
export async function startAndWait(call: Call, id: string): Promise<void> {
  await finish(call, call('domains.start', { id }))
  await until(call, id, (domain) => domain.agent === 'ready')
}

/** Names of the content files of a data folder. */
export function contentFiles(dataFolder: string): string[] {
  return readdirSync(path.join(dataFolder, 'layers')).sort()
}

/** What `qemu-img check` has to say against any content file; nothing for sound ones. Leaks are no damage. */
export function damagedFiles(dataFolder: string): string[] {
  return contentFiles(dataFolder).flatMap((name) => {
    const file = path.join(dataFolder, 'layers', name)
    try {
      qemuImg('check', '-U', '-q', '-f', 'qcow2', file)
      return []
    } catch (error) {
      const { status, stderr } = error as { status: number; stderr: string }
      return status === 3 ? [] : [`${name}: ${stderr}`]
    }
  })
}
