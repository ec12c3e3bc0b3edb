import type { ContractEvent, Envelope } from '../contract'
import type { SpawnGuest } from '../../vmm/engine/guest-process'
import type { Keychain } from './keys'
import type { SpawnNetwork } from '../../vmm/net/network'

/** What the services need to know of the shell they run in. */
export interface Shell {
  kind: 'electron' | 'browser' | 'headless'
  /** Brings the interface to the front; the URL where a browser finds it, or '' when there is a window. */
  show(): string
}

export interface ServicesOptions {
  /** Absolute path of the folder that holds everything Vivarium keeps; made when missing, mode 0700. */
  dataFolder: string
  spawnGuest: SpawnGuest
  spawnNetwork: SpawnNetwork
  /** Starts the file process. */
  spawnFiles: SpawnGuest
  /** Null for a shell without one. */
  keychain: Keychain | null
  shell: Shell
}

/** One connected client. */
export interface Session {
  /** Answers one call; never rejects. */
  call(name: string, args: unknown): Promise<Envelope>
  /** The client is gone: waiting calls are dropped, and its ephemeral domains are removed. */
  close(): void
}

/** What goes on: a headless main with neither machines nor tasks nor clients may end. */
export interface Busy {
  /** Machines that would end with main. */
  machines: number
  /** Machines that go on without it, and are found again by the next one. */
  outliving: number
  tasks: number
  clients: number
}

export interface Services {
  attach(send: (event: ContractEvent) => void): Session
  busy(): Busy
  /** Ends every machine of an engine whose machines cannot outlive main, then closes storage. */
  close(): Promise<void>
}
