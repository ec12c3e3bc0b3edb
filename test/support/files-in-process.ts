import type { GuestProcess } from '../../vmm/engine/guest-process'
import { serveFiles } from '../../vmm/files/files-server'
import { realClock } from './real-clock'

/** The file process without a process: its messages are copied as between processes. */
export function filesInProcess(): GuestProcess {
  let toMain: (message: unknown) => void = () => undefined
  let toFiles: (message: unknown) => void = () => undefined
  let ended: (how: string) => void = () => undefined
  let alive = true
  const soon = (deliver: () => void) => setImmediate(() => (alive ? deliver() : undefined))
  const end = serveFiles(
    {
      send: (message) => void soon(() => toMain(structuredClone(message))),
      onMessage: (receive) => (toFiles = receive),
    },
    realClock,
  )
  return {
    pid: undefined,
    send: (message) => void soon(() => toFiles(structuredClone(message))),
    onMessage: (receive) => (toMain = receive),
    onExit: (tell) => (ended = tell),
    kill: () => {
      if (!alive) return
      alive = false
      end()
      setImmediate(() => ended('it was ended by SIGKILL'))
    },
  }
}
