/** A section of a 32-bit little-endian ELF file. */
interface Section {
  name: string
  content: Buffer
  /** Index of the section it refers to (for `.dynamic`, its strings). */
  link: number
}

const SECTION_LIMIT = 4096
const DT_NEEDED = 1

/**
 * What a 32-bit x86 ELF file says of itself: the libraries it links, its interpreter, and for a kernel module
 * its `.modinfo`. Throws RangeError when the file is no such ELF file. (System V ABI, chapters 4 and 5.)
 */
export class Elf {
  private readonly sections: Section[]

  constructor(file: Buffer) {
    this.sections = readSections(file)
  }

  /** Names of the libraries it links (DT_NEEDED), such as 'libc.so.6'. */
  needed(): string[] {
    const dynamic = this.section('.dynamic')
    const strings = dynamic && this.sections[dynamic.link]?.content
    if (!dynamic || !strings) return []
    const names: string[] = []
    for (let at = 0; at + 8 <= dynamic.content.length; at += 8) {
      if (dynamic.content.readUInt32LE(at) === DT_NEEDED)
        names.push(textAt(strings, dynamic.content.readUInt32LE(at + 4)))
    }
    return names
  }

  /** Path of the dynamic loader, or '' for a static program. */
  interpreter(): string {
    const section = this.section('.interp')
    return section ? textAt(section.content, 0) : ''
  }

  /** The values of `key` in a kernel module's `.modinfo`, in order. */
  moduleInfo(key: string): string[] {
    const lines = this.section('.modinfo')?.content.toString('latin1').split('\0') ?? []
    return lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1))
  }

  private section(name: string): Section | undefined {
    return this.sections.find((section) => section.name === name)
  }
}

function readSections(file: Buffer): Section[] {
  const isElf32 = file.length >= 52 && file.readUInt32BE(0) === 0x7f454c46 && file[4] === 1 && file[5] === 1
  if (!isElf32) throw new RangeError('not a 32-bit little-endian ELF file')
  const tableAt = file.readUInt32LE(32)
  const entrySize = file.readUInt16LE(46)
  const count = file.readUInt16LE(48)
  const namesIndex = file.readUInt16LE(50)
  if (entrySize < 40 || count > SECTION_LIMIT || tableAt + count * entrySize > file.length) {
    throw new RangeError('the section table of the ELF file is damaged')
  }
  const headers = Array.from({ length: count }, (_, index) => {
    const at = tableAt + index * entrySize
    const [nameAt, type] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)]
    const [offset, size] = [file.readUInt32LE(at + 16), file.readUInt32LE(at + 20)]
    const empty = type === 0 || type === 8 // SHT_NULL and SHT_NOBITS have no bytes in the file
    if (!empty && offset + size > file.length) throw new RangeError('a section of the ELF file is cut off')
    const content = empty ? file.subarray(0, 0) : file.subarray(offset, offset + size)
    return { nameAt, content, link: file.readUInt32LE(at + 24) }
  })
  const names = headers[namesIndex]?.content ?? Buffer.alloc(0)
  return headers.map(({ nameAt, content, link }) => ({ name: textAt(names, nameAt), content, link }))
}

function textAt(strings: Buffer, at: number): string {
  if (at >= strings.length) return ''
  const end = strings.indexOf(0, at)
  return strings.toString('latin1', at, end < 0 ? strings.length : end)
}
