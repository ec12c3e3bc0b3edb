import { execFileSync } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { writeCpio } from '../../vmm/images/cpio'
import { identify } from '../../vmm/images/identify'
import { inspectImage } from '../../vmm/images/inspect'
import { VmmError } from '../../vmm/model/errors'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolderForFile } from '../support/temporary-folder'

const MIB = 1024 * 1024

const folder = temporaryFolderForFile()

async function put(name: string, content: Uint8Array, bytes = content.length): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, content)
  await truncate(path, bytes)
  return path
}

async function refusalOf(path: string): Promise<VmmError> {
  return inspectImage(path).then(
    (found) => {
      throw new Error(`was taken as ${found.role}`)
    },
    (error: unknown) => {
      expect(error).toBeInstanceOf(VmmError)
      return error as VmmError
    },
  )
}

/** A kernel of 4 setup sectors and 64 KiB. */
function kernel({ is64Bit = false, protocol = 0x20f } = {}): Buffer {
  const file = Buffer.alloc(5 * 512 + 64 * 1024)
  file.write('MZ', 0)
  file[0x1f1] = 4
  file.writeUInt32LE(4096, 0x1f4)
  file.writeUInt16LE(0xaa55, 0x1fe)
  file.write('HdrS', 0x202)
  file.writeUInt16LE(protocol, 0x206)
  file.writeUInt16LE(0x300, 0x20e)
  file[0x211] = 1
  file.writeUInt16LE(is64Bit ? 1 : 0, 0x236)
  file.write('6.1.0-test (someone) #1\0', 0x500)
  return file
}

function iso({ bootable = true, blocks = 20 } = {}): Buffer {
  const file = Buffer.alloc(20 * 2048)
  file.write('\x01CD001\x01', 16 * 2048, 'latin1')
  file.write('TEST_DISC'.padEnd(32), 16 * 2048 + 40)
  file.writeUInt32LE(blocks, 16 * 2048 + 80)
  file.writeUInt16LE(2048, 16 * 2048 + 128)
  if (bootable) file.write('\0CD001\x01EL TORITO SPECIFICATION', 17 * 2048, 'latin1')
  return file
}

function mbr(sectors = 2048): Buffer {
  const file = Buffer.alloc(MIB)
  file[446] = 0x80
  file[450] = 0x83
  file.writeUInt32LE(1, 454)
  file.writeUInt32LE(sectors - 1, 458)
  file.writeUInt16LE(0xaa55, 510)
  return file
}

function gpt(lastSector = 2047n): Buffer {
  const file = Buffer.alloc(MIB)
  file[450] = 0xee
  file.writeUInt32LE(0xffffffff, 458)
  file.writeUInt16LE(0xaa55, 510)
  file.write('EFI PART', 512)
  file.writeBigUInt64LE(lastSector, 544)
  return file
}

function fat(sectors: number): Buffer {
  const file = Buffer.alloc(sectors * 512)
  file[0] = 0xeb
  file.writeUInt16LE(512, 11)
  file.writeUInt16LE(sectors, 19)
  file[21] = 0xf0
  file.writeUInt16LE(0xaa55, 510)
  return file
}

const archive = writeCpio([{ kind: 'file', path: 'init', content: 'x'.repeat(5000) }])

describe('inspectImage takes', () => {
  it.each([
    ['vmlinuz', kernel(), 'kernel', 'Linux kernel 6.1.0-test, 32-bit'],
    ['memtest-like', kernel().subarray(0, -15), 'kernel', 'Linux kernel 6.1.0-test, 32-bit'],
    ['bzImage64', kernel({ is64Bit: true }), 'kernel', /64-bit: it needs the qemu engine/],
    ['initrd.img', gzipSync(archive), 'initrd', 'initrd, compressed with gzip'],
    ['initrd.cpio', archive, 'initrd', 'initrd, a cpio archive'],
    ['initrd.img.xz', Buffer.from('fd377a585a000004', 'hex'), 'initrd', 'initrd, compressed with xz'],
    ['initrd.zst', Buffer.from('28b52ffd00', 'hex'), 'initrd', 'initrd, compressed with zstd'],
    ['boot.iso', iso(), 'cdrom', "ISO 9660 image 'TEST_DISC'"],
    ['data.iso', iso({ bootable: false }), 'cdrom', /no boot record/],
    ['mbr.img', mbr(), 'disk', /MBR/],
    ['gpt.img', gpt(), 'disk', /GPT/],
    ['dos.img', Buffer.alloc(1440 * 1024), 'floppy', 'floppy, 1440 KiB'],
    ['odd.flp', fat(1600), 'floppy', 'floppy, 800 KiB'],
  ] as const)('%s', async (name, content, role, detail) => {
    const found = await inspectImage(await put(name, content))
    expect(found).toMatchObject({ role, bytes: content.length })
    expect(found.detail).toMatch(detail)
  })

  it.each([
    ['a.qcow2', Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), 'qcow2', /qcow2/],
    ['a.vmdk', Buffer.from('KDMV\x01'), 'vmdk', /VMDK/],
    ['b.vmdk', Buffer.from('# Disk DescriptorFile\n'), 'vmdk', /VMDK/],
    ['a.vhdx', Buffer.from('vhdxfile'), 'vhdx', /VHDX/],
    ['a.vhd', Buffer.concat([mbr(), Buffer.from('conectix'.padEnd(512, '\0'))]), 'vpc', /VHD/],
    ['a.vdi', Buffer.from(`${'00'.repeat(64)}7f10dabe`, 'hex'), 'vdi', /VDI/],
    ['a.ova', Buffer.from('a.ovf'.padEnd(257, '\0') + 'ustar'), 'ova', /OVA/],
  ] as const)('%s, to be converted', async (name, content, format, detail) => {
    const found = await inspectImage(await put(name, content))
    expect(found).toMatchObject({ role: 'disk', format, detail: expect.stringMatching(detail) })
  })

  it('an ext file system without a boot sector, and says that nothing boots from it', async () => {
    const disk = Buffer.alloc(MIB)
    disk.writeUInt16LE(0xef53, 1024 + 56)
    disk.writeUInt32LE(1024, 1024 + 4)
    disk.writeUInt32LE(0x40, 1024 + 96)
    const found = await inspectImage(await put('root.img', disk))
    expect(found).toMatchObject({ role: 'disk', detail: expect.stringMatching(/^ext4 .*nothing boots from it/) })
    const cut = await refusalOf(await put('cut.img', disk.subarray(0, MIB - 512)))
    expect(cut).toMatchObject({ kind: 'invalid', message: expect.stringMatching(/cut off/) })
  })

  it('a hybrid ISO as a CD', async () => {
    const hybrid = iso()
    hybrid.writeUInt16LE(0xaa55, 510)
    expect((await inspectImage(await put('hybrid.iso', hybrid))).role).toBe('cdrom')
  })
})

describe('inspectImage refuses', () => {
  it.each([
    ['cut.iso', iso({ blocks: 21 }), 'invalid', /cut off/],
    ['cut-by-a-paragraph', kernel().subarray(0, -16), 'invalid', /cut off/],
    ['cut-kernel', kernel().subarray(0, 40_000), 'invalid', /cut off/],
    ['cut-mbr.img', mbr(4096), 'invalid', /cut off/],
    ['cut-gpt.img', gpt(4095n), 'invalid', /cut off/],
    ['odd-mbr.img', mbr().subarray(0, MIB - 7), 'invalid', /cut off/],
    ['cut-floppy.img', fat(2880).subarray(0, 100 * 512), 'invalid', /cut off/],
    ['old-kernel', kernel({ protocol: 0x201 }), 'unsupported', /zImage/],
    ['a.zip', Buffer.from('PK\x03\x04'), 'unsupported', /zip/],
    ['vmlinux', Buffer.from('\x7fELF'), 'unsupported', /ELF/],
    ['disk.img.gz', gzipSync(mbr()), 'unsupported', /gzip/],
    ['disk.iso.xz', Buffer.from('fd377a585a000004', 'hex'), 'unsupported', /xz/],
    ['notes.txt', Buffer.from('only words\n'), 'invalid', /no image that Vivarium knows/],
    ['empty', Buffer.alloc(0), 'invalid', /empty/],
  ] as const)('%s', async (name, content, kind, message) => {
    const refusal = await refusalOf(await put(name, content))
    expect(refusal).toMatchObject({ kind, message: expect.stringMatching(message) })
    expect(refusal.hint).not.toBe('')
  })

  it('what is missing, a folder, or a device', async () => {
    expect(await refusalOf(join(folder, 'nowhere'))).toMatchObject({ kind: 'not-found' })
    expect(await refusalOf(folder)).toMatchObject({ kind: 'invalid', message: expect.stringMatching(/is a folder/) })
  })

  it.skipIf(process.platform === 'win32')('a pipe, without waiting for its writer', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    expect(await refusalOf(pipe)).toMatchObject({ message: expect.stringMatching(/not a regular file/) })
  })

  it('a name that would garble the message', async () => {
    const refusal = await refusalOf(await put('a\u202egmi.ksid', Buffer.from('x')))
    expect(refusal.message).not.toContain('\u202e')
  })
})

describe('identify on hostile content', () => {
  const samples = [kernel(), gzipSync(archive), archive, iso(), mbr(), gpt(), fat(1600), Buffer.alloc(70_000)]

  it('throws nothing but VmmError', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 4000; round += 1) {
      const sample = samples[round % samples.length]!
      const length = random() < 0.3 ? Math.floor(random() * Math.min(sample.length, 48 * 1024)) : 48 * 1024
      const head = Buffer.from(sample.subarray(0, length))
      const flips = head.length === 0 ? 0 : Math.floor(random() * 20)
      const reach = random() < 0.5 ? Math.min(1024, head.length) : head.length
      for (let flip = 0; flip < flips; flip += 1) head[Math.floor(random() * reach)] = Math.floor(random() * 256)
      const bytes = head.length + Math.floor(random() * 2) * Math.floor(random() * 1e12)
      try {
        const { role, detail } = identify({ name: 'fuzz', bytes, head, tail: head.subarray(-512) })
        expect(['kernel', 'initrd', 'cdrom', 'disk', 'floppy']).toContain(role)
        expect(detail.length).toBeLessThan(200)
      } catch (error) {
        if (!(error instanceof VmmError)) throw error
      }
    }
  })
})
