import type { ContractEvent, Envelope } from '../contract'
import type { SpawnGuest } from '../../vmm/engine/guest-process'

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
  shell: Shell
}

/** One connected client. */
export interface Session {
  /** Answers one call; never rejects. */
  call(name: string, args: unknown): Promise<Envelope>
  /** The client is gone: waiting calls are dropped, and its ephemeral domains are removed. */
  close(): void
}

export interface Services {
  attach(send: (event: ContractEvent) => void): Session
  /** Domains that have a machine, tasks under way and clients attached: a headless main with none may end. */
  busy(): { machines: number; tasks: number; clients: number }
  /** Ends every machine of an engine whose machines cannot outlive main, then closes storage. */
  close(): Promise<void>
}
