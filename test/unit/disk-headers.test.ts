import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ByteRange } from '../../vmm/images/byte-range'
import { fileSource } from '../../vmm/images/block-source'
import type { DiskFile } from '../../vmm/images/disk-file'
import { checkVhd, checkVhdx } from '../../vmm/images/microsoft-disks'
import { openAlone } from '../../vmm/images/open-disk'
import { ovfDiskFiles } from '../../vmm/images/ovf'
import { ovfEnvelope } from '../../vmm/images/ovf-envelope'
import { readQcow2 } from '../../vmm/images/qcow2'
import { padded, readTar, tarHeader } from '../../vmm/images/tar'
import { checkVmdk } from '../../vmm/images/vmdk'
import { VmmError } from '../../vmm/model/errors'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

function range(content: Buffer): ByteRange {
  return {
    bytes: content.length,
    read: (position, length) => Promise.resolve(content.subarray(position, position + length)),
  }
}

function diskFile(content: Buffer, folder: string | null = null): DiskFile {
  return { name: 'fuzz', range: range(content), source: fileSource('/nowhere'), folder }
}

/** What came of it; anything but a `VmmError` is thrown. */
async function outcome<T>(work: () => Promise<T> | T): Promise<T | VmmError> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof VmmError) return error
    throw error
  }
}

function qcow2(): Buffer {
  const file = Buffer.alloc(4096)
  file.writeUInt32BE(0x514649fb, 0)
  file.writeUInt32BE(3, 4)
  file.writeBigUInt64BE(512n, 8)
  file.writeUInt32BE(8, 16)
  file.writeUInt32BE(16, 20)
  file.writeUInt32BE(104, 100)
  file.writeUInt32BE(0xe2792aca, 104)
  file.writeUInt32BE(3, 108)
  file.write('raw', 112)
  file.write('base.img', 512)
  return file
}

function vhdx(): Buffer {
  const file = Buffer.alloc(512 * 1024)
  for (const at of [192 * 1024, 256 * 1024]) {
    file.write('regi', at)
    file.writeUInt32LE(1, at + 8)
    Buffer.from('06a27c8b90479a4bb8fe575f050f886e', 'hex').copy(file, at + 16)
    file.writeBigUInt64LE(BigInt(320 * 1024), at + 32)
  }
  file.write('metadata', 320 * 1024)
  file.writeUInt16LE(1, 320 * 1024 + 10)
  Buffer.from('3767a1ca36fa434db3b633f0aa44e76b', 'hex').copy(file, 320 * 1024 + 32)
  file.writeUInt32LE(65536, 320 * 1024 + 48)
  return file
}

function vmdk(): Buffer {
  const file = Buffer.alloc(4096)
  file.write('KDMV')
  file.writeBigUInt64LE(100n, 12)
  file.writeBigUInt64LE(1n, 28)
  file.writeBigUInt64LE(2n, 36)
  file.write('# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\nRW 100 SPARSE "a.vmdk"\n', 512)
  return file
}

const OVF = ovfEnvelope({
  name: 'Fuzz',
  cpus: 1,
  memoryMiB: 64,
  firmware: 'bios',
  disks: [{ file: 'disk1.vmdk', fileBytes: 10, bytes: 512 }],
})

function tar(): Buffer {
  const files = [
    ['a.ovf', Buffer.from(OVF)],
    ['disk1.vmdk', vmdk()],
  ] as const
  return Buffer.concat([
    ...files.flatMap(([name, content]) => [
      tarHeader(name, content.length, new Date(0)),
      content,
      Buffer.alloc(padded(content.length) - content.length),
    ]),
    Buffer.alloc(1024),
  ])
}

describe('Hostile headers', () => {
  const { random } = seededRandom()
  const pick = (limit: number) => Math.floor(random() * limit)

  /** A copy with some bytes changed, mostly in its first `reach` bytes, and sometimes cut off. */
  function mutated(sample: Buffer, reach: number): Buffer {
    const copy = Buffer.from(random() < 0.2 ? sample.subarray(0, pick(sample.length)) : sample)
    for (let flip = pick(12); flip > 0 && copy.length > 0; flip -= 1) {
      const at = pick(random() < 0.8 ? Math.min(reach, copy.length) : copy.length)
      copy[at] = random() < 0.3 ? 0xff : pick(256)
    }
    return copy
  }

  it.each([
    ['qcow2', qcow2(), 600, readQcow2],
    ['vmdk', vmdk(), 700, checkVmdk],
    ['vhdx', vhdx(), 400_000, checkVhdx],
    ['vhd', Buffer.alloc(512, 'conectix'), 512, checkVhd],
    ['vdi', Buffer.alloc(512), 512, (file: DiskFile) => openAlone(file, 'vdi')],
  ] as const)(
    'of %s are taken or refused in words',
    async (_, sample, reach, read: (file: DiskFile) => Promise<unknown>) => {
      for (let round = 0; round < 3000; round += 1) {
        const found = await outcome(() => read(diskFile(mutated(sample, reach))))
        if (found instanceof VmmError) expect(found.message).not.toBe('')
      }
    },
  )

  it('of qcow2 never lead out of the folder', async () => {
    const folder = temporaryFolder()
    await writeFile(join(folder, 'base.img'), 'base')
    const names = [
      'base.img',
      '../x',
      '/etc/passwd',
      './base.img',
      'a\0b',
      'nbd:x',
      '',
      '..',
      'sub/base.img',
      'json:{}',
    ]
    for (const name of names) {
      const file = qcow2()
      file.fill(0, 512)
      file.write(name, 512)
      file.writeUInt32BE(Buffer.byteLength(name), 16)
      const found = await outcome(() => openAlone(diskFile(file, folder), 'qcow2'))
      expect(found instanceof VmmError, name).toBe(name !== 'base.img')
    }
  })

  it('of VMware descriptions hide no file name from us that QEMU would see', async () => {
    const folder = temporaryFolder()
    await writeFile(join(folder, 'a.vmdk'), 'x')
    const pieces = ['RW', ' ', '  ', '\n', '\t', '\v', '\r', '\f', '100', 'FLAT', 'SPARSE', '"a.vmdk"', '"../a.vmdk"']
    pieces.push(
      '"/etc/x.vmdk"',
      ' 0',
      '#',
      'CID=1',
      '=',
      '\0',
      '"',
      'RW 100 FLAT "a.vmdk" 0\n',
      'ddb.x = "1"',
      '\u2028',
    )
    let taken = 0
    for (let round = 0; round < 6000; round += 1) {
      const body = Array.from({ length: 1 + pick(12) }, () => pieces[pick(pieces.length)]).join('')
      const text = `# Disk DescriptorFile\nversion=1\nRW 100 FLAT "a.vmdk" 0\n${body}`
      if ((await outcome(() => checkVmdk(diskFile(Buffer.from(text), folder)))) instanceof VmmError) continue
      taken += 1
      // as sscanf("%9s %lld %9s \"%511[^\n\r\"]\"") at the beginning of each line, up to the first NUL
      const seen = (text.split('\0')[0] ?? '').split('\n').map((_, index, lines) => lines.slice(index).join('\n'))
      for (const rest of seen) {
        const name = /^\s*RW\s+\d+\s*\S{1,9}\s*"([^\n\r"]+)/.exec(rest)?.[1]
        if (name !== undefined) expect(name, JSON.stringify(text)).toBe('a.vmdk')
      }
    }
    expect(taken).toBeGreaterThan(0)
  })

  it('of tar are taken or refused in words, and every file lies inside the archive', async () => {
    const sample = tar()
    for (let round = 0; round < 4000; round += 1) {
      const archive = mutated(sample, 512)
      // a right checksum lets the change through to what follows it
      if (random() < 0.7 && archive.length >= 512) {
        const sum = archive.subarray(0, 512).reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 32 : byte), 0)
        archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
      }
      const found = await outcome(() => readTar(range(archive)))
      if (found instanceof VmmError) continue
      for (const { offset, bytes } of found) {
        expect(offset % 512).toBe(0)
        expect(bytes).toBeGreaterThanOrEqual(0)
        expect(offset + bytes).toBeLessThanOrEqual(archive.length)
      }
    }
  })

  it('of OVF are taken or refused in words', async () => {
    for (let round = 0; round < 2000; round += 1) {
      const text = mutated(Buffer.from(OVF), OVF.length).toString('utf8')
      await outcome(() => ovfDiskFiles(text))
    }
    const deep = '<a>'.repeat(100_000)
    expect(await outcome(() => ovfDiskFiles(deep))).toBeInstanceOf(VmmError)
  })
})

describe('An OVF', () => {
  const withFile = (attributes: string, disk = 'ovf:fileRef="f"') =>
    `<Envelope xmlns:ovf="x"><References><File ovf:id="f" ovf:href="d.vmdk" ${attributes}/></References>` +
    `<DiskSection><Disk ovf:diskId="d" ${disk}/></DiskSection></Envelope>`

  it('names its disks', () => {
    expect(ovfDiskFiles(OVF)).toEqual(['disk1.vmdk'])
    expect(ovfDiskFiles(withFile(''))).toEqual(['d.vmdk'])
  })

  it.each([
    [withFile('ovf:compression="gzip"'), 'unsupported', /compressed/],
    [withFile('ovf:chunkSize="100"'), 'unsupported', /split/],
    [withFile('', 'ovf:fileRef="f" ovf:parentRef="p"'), 'unsupported', /differs/],
    [withFile('', 'ovf:fileRef="other"'), 'damaged', /no file/],
    [withFile('', 'ovf:capacity="1"'), 'unsupported', /no disk/],
    [`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>${withFile('')}`, 'damaged', /document type/],
    ['<Envelope/>', 'damaged', /not understood/],
    ['', 'damaged', /not understood/],
  ])('is refused: %s', (xml, kind, message) => {
    expect(() => ovfDiskFiles(xml)).toThrow(expect.objectContaining({ kind, message: expect.stringMatching(message) }))
  })
})

describe('A tar', () => {
  const entry = (name: string, type: string, content: Buffer) => {
    const header = tarHeader(name, content.length, new Date(0))
    header.write(type, 156)
    header.write('        ', 148)
    const sum = header.reduce((all, byte) => all + byte, 0)
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    return Buffer.concat([header, content, Buffer.alloc(padded(content.length) - content.length)])
  }

  it('has long names and sizes by both extensions, and sizes beyond 8 GiB', async () => {
    const long = `${'x'.repeat(150)}.vmdk`
    const record = (text: string) => {
      const length = text.length + 4
      return `${length} ${text}\n`
    }
    const archive = Buffer.concat([
      entry('././@LongLink', 'L', Buffer.from(`${long}\0`)),
      entry('cut', '0', Buffer.from('one')),
      entry('pax', 'x', Buffer.from(record('path=./two.vmdk'))),
      entry('cut', '0', Buffer.from('two')),
      entry('folder/', '5', Buffer.alloc(0)),
      Buffer.alloc(1024),
    ])
    const files = await readTar(range(archive))
    expect(files.map(({ name, bytes }) => [name, bytes])).toEqual([
      [long, 3],
      ['two.vmdk', 3],
    ])
    const huge = 20 * 1024 ** 3
    const header = tarHeader('huge', huge, new Date(0))
    const sparse = { bytes: huge + 1024, read: (at: number) => Promise.resolve(at === 0 ? header : Buffer.alloc(512)) }
    expect(await readTar(sparse)).toEqual([{ name: 'huge', offset: 512, bytes: huge }])
  })

  it('with sparse files is refused', async () => {
    await expect(readTar(range(entry('x', 'S', Buffer.alloc(0))))).rejects.toMatchObject({ kind: 'unsupported' })
  })
})
