import { fork } from 'node:child_process'

/** A child process that runs one embedded guest. Messages are structured clones. */
export interface GuestProcess {
  readonly pid: number | undefined
  send(message: unknown): void
  onMessage(receive: (message: unknown) => void): void
  /** Called once when the process has ended, however it ended; `how` is for people. */
  onExit(ended: (how: string) => void): void
  /** Ends the process at once. */
  kill(): void
}

/** Starts a guest process. Electron and Node have different ways; each shell passes its own in. */
export type SpawnGuest = () => GuestProcess

/** Guest processes by `fork`, for Node. (In Electron with RunAsNode fused off, fork would start a second app.) */
export function forkGuests(entryFile: string): SpawnGuest {
  return () => {
    const child = fork(entryFile, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      // one malloc arena: a guest is one busy thread, and further arenas cost about 70 MB
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
      execArgv: [],
    })
    return {
      pid: child.pid,
      send: (message) => {
        // a process that has just died refuses it; that it is dead, its exit tells
        if (child.connected) child.send(message as object, () => undefined)
      },
      onMessage: (receive) => {
        child.on('message', receive)
      },
      onExit: (ended) => {
        child.on('error', (error) => {
          if (child.pid === undefined) ended(`it could not be started: ${error.message}`)
        })
        child.once('exit', (code, signal) =>
          ended(signal ? `it was ended by ${signal}` : `it exited with status ${code}`),
        )
      },
      kill: () => {
        child.kill('SIGKILL')
      },
    }
  }
}
