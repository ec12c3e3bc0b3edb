import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'

const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex')

const FILES = ['kernel', 'initrd', 'bios.bin', 'vgabios.bin'] as const

const FileSeal = v.strictObject({ bytes: v.number(), sha256: v.string() })
const Manifest = v.strictObject({
  recipe: v.string(),
  contentKey: v.string(),
  packages: v.array(v.string()),
  files: v.strictObject({ kernel: FileSeal, initrd: FileSeal, 'bios.bin': FileSeal, 'vgabios.bin': FileSeal }),
})
export type Manifest = v.InferOutput<typeof Manifest>

/**
 * Finished starter images, each in a folder named after its recipe, and complete from the moment it has that name:
 * it is filled under another name and renamed. A manifest in it seals every file.
 */
export class StarterCache {
  constructor(
    private readonly folder: string,
    private readonly recipe: string,
  ) {}

  /** Where the finished image is, or will be. */
  get place(): string {
    return join(this.folder, `starter-${this.recipe.slice(0, 16)}`)
  }

  /** The manifest of the finished image, after reading every file; undefined when there is none or it is damaged. */
  async find(): Promise<Manifest | undefined> {
    const text = await readFile(join(this.place, 'manifest.json'), 'utf8').catch(() => '')
    const manifest = parseManifest(text)
    if (manifest?.recipe !== this.recipe) return undefined
    for (const name of FILES) {
      const content = await readFile(join(this.place, name)).catch(() => undefined)
      const seal = manifest.files[name]
      if (content?.length !== seal.bytes || sha256(content) !== seal.sha256) return undefined
    }
    return manifest
  }

  /** A new private folder to build in. Those of builders that are no longer alive are removed first. */
  async beginBuild(): Promise<string> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.folder)) {
      const builder = /^building-(\d+)-/.exec(name)?.[1]
      if (builder !== undefined && !isAlive(Number(builder))) await removeTree(join(this.folder, name))
    }
    const scratch = join(this.folder, `building-${process.pid}-${randomBytes(4).toString('hex')}`)
    await mkdir(scratch, { mode: 0o700 })
    return scratch
  }

  /** Seals `files` and puts them in place, instead of what is there. `scratch` is from `beginBuild`. */
  async store(scratch: string, files: ReadonlyMap<string, Buffer>, packages: string[]): Promise<Manifest> {
    const finished = join(scratch, 'finished')
    await mkdir(finished, { mode: 0o700 })
    const seals = Object.fromEntries(
      [...files].map(([name, content]) => [name, { bytes: content.length, sha256: sha256(content) }]),
    )
    const contentKey = sha256(Buffer.from([this.recipe, ...packages].join('\n')))
    const manifest = v.parse(Manifest, { recipe: this.recipe, contentKey, packages, files: seals })
    for (const [name, content] of files) await writeDurably(join(finished, name), content)
    await writeDurably(join(finished, 'manifest.json'), Buffer.from(JSON.stringify(manifest, null, 2) + '\n'))
    await this.putInPlace(scratch, finished)
    await this.removeOthers()
    return manifest
  }

  /** A folder cannot be renamed onto a filled one: the old one steps aside, into `scratch`, which will be removed. */
  private async putInPlace(scratch: string, finished: string): Promise<void> {
    await rename(this.place, join(scratch, 'replaced')).catch(() => undefined)
    try {
      await rename(finished, this.place)
    } catch (error) {
      // another builder was faster; what it made serves as well
      if ((await this.find()) === undefined) throw error
    }
  }

  /** Images of other recipes: nobody builds them again. */
  private async removeOthers(): Promise<void> {
    const others = (await readdir(this.folder)).filter((name) => /^starter-[0-9a-f]{16}$/.test(name))
    for (const name of others) {
      if (join(this.folder, name) !== this.place) await removeTree(join(this.folder, name))
    }
  }
}

export async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
}

function parseManifest(text: string): Manifest | undefined {
  try {
    const result = v.safeParse(Manifest, JSON.parse(text))
    return result.success ? result.output : undefined
  } catch {
    return undefined
  }
}

async function writeDurably(path: string, content: Buffer): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await chmod(path, 0o400)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
