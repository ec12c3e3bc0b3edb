import { lstat, readFile, readlink } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path/posix'
import { Elf } from './elf'

const LINK_LIMIT = 20
const LIBRARY_FOLDERS = ['lib/i386-linux-gnu', 'usr/lib/i386-linux-gnu', 'lib', 'usr/lib']

/** Packages unpacked into one folder, read as if that folder were `/`: a link never leads to the host's files. */
export class UnpackedTree {
  constructor(readonly folder: string) {}

  /** The content of the file at `path` (relative), following links inside the tree; undefined when there is none. */
  async read(path: string): Promise<Buffer | undefined> {
    let at = normalize(path)
    for (let hops = 0; hops < LINK_LIMIT; hops += 1) {
      if (at.startsWith('..')) return undefined
      const found = await lstat(join(this.folder, at)).catch(() => undefined)
      if (found?.isFile()) return readFile(join(this.folder, at))
      if (!found?.isSymbolicLink()) return undefined
      const target = await readlink(join(this.folder, at))
      at = target.startsWith('/') ? normalize(target.slice(1)) : normalize(join(dirname(at), target))
    }
    return undefined
  }

  /**
   * All libraries that the program at `path` links, directly or through others, by name. Those that no unpacked
   * package holds are in `missing`.
   */
  async librariesOf(path: string): Promise<{ found: Map<string, Buffer>; missing: string[] }> {
    const found = new Map<string, Buffer>()
    const missing = new Set<string>()
    const program = await this.read(path)
    const queue = program ? new Elf(program).needed() : []
    for (const name of queue) {
      if (found.has(name) || missing.has(name)) continue
      const content = await this.readLibrary(name)
      if (content) {
        found.set(name, content)
        queue.push(...new Elf(content).needed())
      } else missing.add(name)
    }
    return { found, missing: [...missing] }
  }

  private async readLibrary(name: string): Promise<Buffer | undefined> {
    if (name.includes('/')) return undefined
    for (const folder of LIBRARY_FOLDERS) {
      const content = await this.read(`${folder}/${name}`)
      if (content) return content
    }
    return undefined
  }
}
