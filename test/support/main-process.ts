import { spawn, type ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { connectClient } from '../../src-main/contract'
import { connectLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import type { Call } from './vivarium'

/** A headless main in a process of its own, which a test may kill. */
export interface MainProcess {
  child: ChildProcess
  call: Call
  /** Ends it at once, as a crash or the OOM killer would. Resolves when it is gone. */
  kill(): Promise<void>
  /** Asks it to end. Resolves when it is gone. */
  end(): Promise<void>
}

export async function startMain(dataFolder: string): Promise<MainProcess> {
  const child = spawn(process.execPath, [path.resolve('.vite/build/headless.js')], {
    env: { ...process.env, VIVARIUM_HOME: dataFolder },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await gone
  }
  return { child, call: await connect(dataFolder, child), kill: () => stop('SIGKILL'), end: () => stop('SIGTERM') }
}

async function connect(dataFolder: string, child: ChildProcess): Promise<Call> {
  for (let attempt = 0; attempt < 400 && child.exitCode === null; attempt++) {
    try {
      const connection = await connectLocal(socketAddress(dataFolder))
      const client = connectClient(connection)
      // calls under way when the process is killed are refused, not left hanging
      const ended = connection.closed.then(() => Promise.reject(new Error('the main has ended')))
      ended.catch(() => undefined)
      return (name, args) => Promise.race([client.call(name, args), ended])
    } catch {
      await delay(50)
    }
  }
  throw new Error('the main did not come up')
}

/** Process ids of the guests that `parent` has started. */
export async function childrenOf(parent: number): Promise<number[]> {
  const text = await readFile(`/proc/${parent}/task/${parent}/children`, 'latin1').catch(() => '')
  return text.split(' ').filter(Boolean).map(Number)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
