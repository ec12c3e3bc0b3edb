import type { EngineId } from '../model/domain'
import { VmmError } from '../model/errors'
import { EmbeddedEngine } from './embedded'
import type { Engine, EngineFolders } from './engine'
import type { SpawnGuest } from './guest-process'
import { QemuEngine } from './qemu'

/** The engines of this build, by id. */
export class EngineCatalog {
  readonly #engines: Map<EngineId, Engine>

  constructor(spawnGuest: SpawnGuest, folders: EngineFolders) {
    const engines: Engine[] = [new EmbeddedEngine(spawnGuest, folders.run), new QemuEngine(folders)]
    this.#engines = new Map(engines.map((engine) => [engine.id, engine]))
  }

  all(): Engine[] {
    return [...this.#engines.values()]
  }

  find(id: EngineId): Engine | undefined {
    return this.#engines.get(id)
  }

  get(id: EngineId): Engine {
    const engine = this.#engines.get(id)
    if (engine) return engine
    const known = [...this.#engines.keys()].join(', ')
    throw new VmmError('unsupported', `The engine '${id}' is not part of this version of Vivarium.`, {
      hint: `Choose one of: ${known}.`,
    })
  }
}
