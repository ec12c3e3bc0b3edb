import { createHash } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { HARDWARE_FIELDS } from '../../vmm/model/hardware'
import type { ImageRecord } from '../../vmm/model/image'
import type { Engine } from '../../vmm/engine/engine'
import type { GuestRun } from '../../vmm/machine/guest-run'
import { writeConsole } from './console-tail'
import type { Domain } from './domain'
import type { Folders } from './folders'
import type { ImageService } from './images'
import { fileExists } from './state-files'

/**
 * Boot snapshots: the state of a guest that has just booted, kept by image and memory size, from which later
 * starts resume. They hold nothing of any domain, and a resumed guest renews its identity before anybody may use it.
 */
export class BootSnapshots {
  /** Files that a machine is writing now. */
  readonly #writing = new Set<string>()

  constructor(
    private readonly folders: Folders,
    private readonly images: ImageService,
  ) {}

  /** The files that a start would resume from or make, or null where an instant start is not possible. */
  async place(
    domain: Domain,
    image: ImageRecord,
    engine: Engine,
  ): Promise<{ machine: string; console: string } | null> {
    const { spec } = domain.record
    const possible =
      spec.instantStart &&
      image.agent &&
      spec.diskMiB === 0 &&
      spec.disks.length === 0 &&
      engine.capabilities.instantStart
    if (!possible) return null
    const folder = this.folders.bootSnapshots(image.id)
    const hardware = JSON.stringify(HARDWARE_FIELDS.map((field) => spec[field]))
    const content = [
      engine.id,
      await engine.stateVersion(),
      hardware,
      image.cmdline,
      ...image.files.map((file) => file.sha256),
    ].join('\n')
    const key = createHash('sha256').update(content).digest('hex').slice(0, 16)
    const stem = path.join(folder, `${spec.memoryMiB}-${engine.id}${spec.filesCard ? '+files' : ''}-${key}`)
    return { machine: `${stem}.state`, console: `${stem}.tail` }
  }

  async exists(place: { machine: string }): Promise<boolean> {
    return await fileExists(place.machine)
  }

  /** Keeps the state of a guest that has just booted and that nobody has touched, unless there is one already. */
  async keep(domain: Domain, run: GuestRun, place: { machine: string; console: string }): Promise<void> {
    if (this.#writing.has(place.machine)) return
    this.#writing.add(place.machine)
    try {
      if (await this.exists(place)) return
      await mkdir(path.dirname(place.machine), { recursive: true, mode: 0o700 })
      await writeConsole(place.console, domain.scrollback)
      await run.machine.saveState(place.machine, { compress: false, layerCopies: {} })
    } finally {
      this.#writing.delete(place.machine)
    }
    await this.#dropOthers(place)
    await this.images.publish()
  }

  /** A snapshot that does not resume is of no use to anybody. */
  async drop(place: { machine: string; console: string }): Promise<void> {
    await rm(place.machine, { force: true })
    await rm(place.console, { force: true })
    await this.images.publish()
  }

  /** Snapshots of the same engine and memory size that nobody would resume from now. */
  async #dropOthers(place: { machine: string }): Promise<void> {
    const folder = path.dirname(place.machine)
    const [stem] = path.basename(place.machine).split('.')
    const kin = (stem ?? '').slice(0, (stem ?? '').lastIndexOf('-') + 1)
    for (const name of await readdir(folder)) {
      if (name.startsWith(kin) && !name.startsWith(`${stem}.`)) await rm(path.join(folder, name), { force: true })
    }
  }
}
