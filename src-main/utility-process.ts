import { utilityProcess } from 'electron'
import type { SpawnGuest } from '../vmm/engine/guest-process'

/**
 * Guest processes as Electron utility processes. (With RunAsNode fused off, fork would start a second app.)
 * Exit codes differ between platforms and say little, so an end that we asked for is remembered as such.
 */
export function utilityGuests(entryFile: string): SpawnGuest {
  return () => {
    const child = utilityProcess.fork(entryFile, [], {
      serviceName: 'Vivarium guest',
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, MALLOC_ARENA_MAX: '1' },
    })
    let killed = false
    let ended = false
    child.once('exit', () => {
      ended = true
    })
    return {
      get pid() {
        return child.pid
      },
      send: (message) => {
        if (!ended) child.postMessage(message)
      },
      onMessage: (receive) => {
        child.on('message', receive)
      },
      onExit: (tell) => {
        child.once('exit', (code) => tell(killed ? 'it was ended by Vivarium' : `it exited with status ${code}`))
      },
      kill: () => {
        killed = true
        if (child.pid !== undefined) endNow(child.pid)
        // not started yet: Electron itself has to see to it
        else child.kill()
      },
    }
  }
}

function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it has ended already
  }
}
