import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

/** A network namespace at the other end of a cable of its own, with programs in it: a real host outside. */
export interface FarNetwork {
  /** Address of the far host. */
  address: string
  /** Starts a program there; it is ended with the network. */
  start(program: string, ...args: string[]): ChildProcess
  close(): Promise<void>
}

/** Makes one in 198.51.100.0/24 (RFC 5737); returns why not where that is not permitted. */
export function farNetwork(): FarNetwork | string {
  const name = `vivarium${process.pid}`
  const [near, far] = [`vn${process.pid}`, `vf${process.pid}`]
  const block = (process.pid % 32) * 8
  const address = `198.51.100.${block + 2}`
  const programs: ChildProcess[] = []
  try {
    ip('netns', 'add', name)
  } catch (error) {
    return `no network namespace can be made: ${firstLine(error)}`
  }
  try {
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name)
    ip('addr', 'add', `198.51.100.${block + 1}/29`, 'dev', near)
    ip('link', 'set', near, 'up')
    ip('-n', name, 'addr', 'add', `${address}/29`, 'dev', far)
    ip('-n', name, 'link', 'set', far, 'up')
    ip('-n', name, 'link', 'set', 'lo', 'up')
  } catch (error) {
    ip('netns', 'del', name)
    return `no cable into a network namespace: ${firstLine(error)}`
  }
  return {
    address,
    start(program, ...args) {
      const child = spawn('ip', ['netns', 'exec', name, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
      programs.push(child)
      return child
    },
    async close() {
      for (const child of programs) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        child.kill()
        await once(child, 'exit')
      }
      ip('netns', 'del', name)
    },
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'pipe' })
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .split('\n')
    .slice(0, 2)
    .join(' ')
}
