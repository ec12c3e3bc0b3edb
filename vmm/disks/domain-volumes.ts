import { isDeepStrictEqual } from 'node:util'
import { VmmError } from '../model/errors'
import type { Gate } from '../throttle/gate'
import { NbdServer } from './nbd-server'
import type { ServedVolumes } from './volume-calls'
import type { VolumeStore } from './volume-store'

/** The disks of one running domain, served to its machine. */
export class DomainVolumes {
  #served: ServedVolumes | null = null
  #store: VolumeStore | null = null
  #server: NbdServer | null = null

  /** `gate`: what each disk passes, by its id. */
  constructor(
    private readonly domainId: string,
    private readonly gate: (device: string) => Gate,
  ) {}

  /** Serves what is told and closes what is not. When a disk cannot be opened, none is, and that is thrown. */
  async set(served: ServedVolumes | null, storeOf: (folder: string) => VolumeStore): Promise<void> {
    if (isDeepStrictEqual(served, this.#served)) return
    await this.close()
    if (!served || served.disks.length === 0) return
    const store = storeOf(served.folder)
    this.#served = served
    this.#store = store
    try {
      const opened = []
      for (const disk of served.disks) opened.push({ id: disk.id, volume: await store.open(disk, this.domainId) })
      this.#server = await NbdServer.listen(served.socket)
      for (const { id, volume } of opened) this.#server.add(id, volume, this.gate(id))
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** Copies layers of one moment, by the ids of their disks. What is asked for is answered first. */
  async copy(copies: Readonly<Record<string, string>>): Promise<void> {
    const { server, store, served } = this.#required()
    await server.drain()
    try {
      for (const { id, layer } of served.disks) {
        const to = copies[id]
        if (to !== undefined) await store.copyLayer(layer, to)
      }
    } finally {
      server.resume()
    }
  }

  /** Everything written is kept when this resolves; throws when it could not be. */
  async close(): Promise<void> {
    const [server, store, served] = [this.#server, this.#store, this.#served]
    this.#server = null
    this.#store = null
    this.#served = null
    await server?.close()
    const closed = await Promise.allSettled(served?.disks.map(async ({ layer }) => store?.close(layer)) ?? [])
    const failed = closed.find((each) => each.status === 'rejected')
    if (failed) throw failed.reason
  }

  #required(): { server: NbdServer; store: VolumeStore; served: ServedVolumes } {
    if (this.#server && this.#store && this.#served) {
      return { server: this.#server, store: this.#store, served: this.#served }
    }
    throw new VmmError('state', 'The disks of this domain are not served.', { hint: 'Start the domain.' })
  }
}
