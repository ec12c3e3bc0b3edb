import type { Clock } from '../net/clock'
import type { Gate } from '../throttle/gate'
import type { GuestDoors } from './files-protocol'
import { FilesLink } from './files-link'
import { NinepDoor, type NinepDoorOptions } from './ninep-door'
import type { LockTable } from './ninep-locks'
import type { Provider } from './provider'

interface DoorsParts {
  clock: Clock
  locks: LockTable
  tree(aname: string): Provider
  gate(aname: string): Gate
  /** What stands for a tree in the lock table: the same for all views of one. */
  lockScope(aname: string, provider: Provider): object
}

/** Where a guest asks for its files: a socket of the file process's, and a network card of the guest's that it dials. */
export class DomainDoors {
  #at: GuestDoors | null = null
  #door: NinepDoor | null = null
  #link: FilesLink | null = null

  constructor(private readonly parts: DoorsParts) {}

  /** Opens what is told and closes what is not. */
  async set(doors: GuestDoors | null): Promise<void> {
    if (doors?.listen === this.#at?.listen && doors?.card === this.#at?.card) return
    await this.#close()
    this.#at = doors
    if (!doors) return
    const door = await NinepDoor.listen(doors.listen, this.#options())
    this.#door = door
    if (doors.card === null) return
    const { clock } = this.parts
    this.#link = new FilesLink({ path: doors.card, clock, serve: (stream) => door.serve(stream) })
  }

  /** Resolves when everything that guests asked for is answered. */
  async drain(): Promise<void> {
    await this.#door?.drain()
  }

  async #close(): Promise<void> {
    this.#link?.close()
    this.#link = null
    await this.#door?.close()
    this.#door = null
  }

  #options(): NinepDoorOptions {
    const { tree, gate, locks, lockScope } = this.parts
    return {
      tree: (aname) => tree(aname),
      gate: (aname) => gate(aname),
      locks,
      lockScope: (provider, aname) => lockScope(aname, provider),
      onFault: (error) => console.error('vivarium: the file server failed at a request:', error),
    }
  }
}
