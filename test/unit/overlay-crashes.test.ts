import fs from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HostFolderProvider } from '../../vmm/files/host-folder'
import { OverlayProvider } from '../../vmm/files/overlay'
import { blobNames } from '../../vmm/files/overlay-tree'
import { MODE, type FileNode, type Provider } from '../../vmm/files/provider'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { buildWriter, writeAndDie } from '../support/killed-writers'
import { markedStep, markStep, stepsOf, SYNCED, takeStep } from '../support/overlay-steps'
import { describeTree, KEY } from '../support/overlay-trees'
import { below } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'
import { temporaryFolder } from '../support/temporary-folder'

/** All 200 take about a minute and a half: set VIVARIUM_ROUNDS=200. */
const ROUNDS = Number(process.env['VIVARIUM_ROUNDS'] ?? 40)
/** The writer is killed at most this long after it began, milliseconds. */
const LIFE_MS = 80
/** An overlay is begun anew after so many lives, so that its tree stays small. */
const LIVES = 20

/** A folder of the host with what the writer's names meet, some of it large enough to be changed chunk by chunk. */
function fillHost(folder: string, random: () => number): void {
  fs.mkdirSync(folder)
  fs.writeFileSync(join(folder, SYNCED), 'always there')
  for (const path of ['a', 'b', 'c/a', 'c/b', 'c/d/a', 'd/b/c', 'd/c']) {
    fs.mkdirSync(join(folder, path, '..'), { recursive: true })
    const size = path === 'a' || path === 'c/b' ? 1_500_000 : below(random, 60_000)
    fs.writeFileSync(join(folder, path), Buffer.alloc(size, path))
  }
  fs.symlinkSync('a', join(folder, 'd/a'))
}

/** The same tree in memory. */
function modelOf(host: Provider): MemoryProvider {
  const model = new MemoryProvider()
  const copy = (from: FileNode, to: FileNode): void => {
    const { mode, uid, gid } = host.attributes(from)
    model.change(to, { mode: mode & MODE.permissions, uid, gid })
    for (const { name, kind } of host.list(from)) {
      const child = host.lookup(from, name)
      const by = { ...host.attributes(child), mode: host.attributes(child).mode & MODE.permissions }
      if (kind === MODE.folder) copy(child, model.createFolder(to, name, by))
      else if (kind === MODE.link) model.createLink(to, name, host.readLink(child), by)
      else putHostFile(host, child, model, model.createFile(to, name, by))
      host.drop(child)
    }
  }
  copy(host.root(), model.root())
  return model
}

function putHostFile(host: Provider, from: FileNode, model: MemoryProvider, to: FileNode): void {
  const { size, mode, uid, gid } = host.attributes(from)
  const bytes = Buffer.alloc(size)
  host.open(from, false).read(0, bytes)
  model.open(to, true).write(0, bytes)
  model.change(to, { mode: mode & MODE.permissions, uid, gid })
}

/** All that a host could tell of a folder: what was read may have been looked at, nothing else. */
function stateOf(folder: string): string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).flatMap((name) => {
    const { ino, mode, nlink, size, mtimeNs, ctimeNs } = fs.lstatSync(join(folder, name), { bigint: true })
    return [[name, ino, mode, nlink, size, mtimeNs, ctimeNs].join(' ')]
  })
}

class Life {
  readonly folder = temporaryFolder()
  readonly host = join(this.folder, 'host')
  readonly model: MemoryProvider
  readonly before: string[]
  /** Steps that are in the model. */
  taken = 0
  copies = 0

  constructor(random: () => number) {
    fillHost(this.host, random)
    this.before = stateOf(this.host)
    this.model = modelOf(new HostFolderProvider({ folder: this.host, writable: false }))
  }

  open(folder = join(this.folder, 'overlay')): OverlayProvider {
    const lower = new HostFolderProvider({ folder: this.host, writable: false })
    return OverlayProvider.open({ folder, key: KEY, lower })
  }

  /** The tree is what it was after some step, none before the one that was said to be kept. */
  async check(seed: number, said: number): Promise<void> {
    const overlay = this.open()
    const marked = markedStep(overlay)
    expect(marked).toBeGreaterThanOrEqual(said)
    const found = describeTree(overlay)
    const copies = new Map<number, string[]>()
    let kept: 'the step' | 'its mark' | null = null
    const from = this.taken + 1
    for (const step of stepsOf(seed, from)) {
      if (step.number > marked) break
      markStep(this.model, step.number)
      if (step.number === marked && marked > said) kept = matches(found, describeTree(this.model)) ? 'its mark' : null
      if (kept === 'its mark') break
      takeStep(this.model, step)
      if (step.then === 'copy') copies.set(step.number, describeTree(this.model))
      if (step.number === marked) kept = 'the step'
    }
    if (kept !== 'its mark')
      expect(found, `step ${marked} of seed ${seed} from ${from}`).toEqual(describeTree(this.model))
    this.taken = marked
    this.#expectBlobs(overlay)
    overlay.close()
    await overlay.ended()
    await this.#checkCopies(copies, said)
    expect(stateOf(this.host)).toEqual(this.before)
  }

  /** What the journal names is there, and nothing else is. */
  #expectBlobs(overlay: OverlayProvider): void {
    const files = fs.readdirSync(join(overlay.folder, 'blobs'))
    const named = blobNames(overlay.tree.recorded.values())
    expect(files.filter((file) => !named.has(file))).toEqual([])
  }

  async #checkCopies(copies: ReadonlyMap<number, string[]>, said: number): Promise<void> {
    for (const [number, expected] of copies) {
      const folder = join(this.folder, `copy-${number}`)
      if (number <= said) expect(fs.existsSync(folder), 'a copy that was made is there').toBe(true)
      if (!fs.existsSync(folder)) continue
      const copy = this.open(folder)
      expect(describeTree(copy), `copy ${number}`).toEqual(expected)
      copy.close()
      await copy.ended()
      fs.rmSync(folder, { recursive: true })
      this.copies++
    }
  }
}

const matches = (one: readonly string[], other: readonly string[]): boolean => one.join('\n') === other.join('\n')

test(
  `${ROUNDS} writers to overlays that are killed at any moment lose nothing that was synced`,
  { timeout: 400_000 },
  async () => {
    const { random } = seededRandom()
    const writer = await buildWriter('overlay-writer.ts', temporaryFolder())
    let life = new Life(random)
    let [syncs, copies] = [0, 0]
    for (let round = 0; round < ROUNDS; round++) {
      if (round % LIVES === LIVES - 1) {
        copies += life.copies
        life = new Life(random)
      }
      const seed = below(random, 2 ** 32)
      const said = await writeAndDie(writer, [life.folder, String(seed), String(life.taken + 1)], random() * LIFE_MS)
      await life.check(seed, said.at(-1) ?? life.taken)
      syncs += said.length
    }
    // else nothing has been tried
    expect(syncs).toBeGreaterThan(ROUNDS)
    expect(copies + life.copies).toBeGreaterThan(0)
  },
)
