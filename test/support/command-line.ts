import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import path from 'node:path'

/** What one run of the `vivarium` command did. */
export interface Run {
  /** Exit status; null when a signal ended it. */
  status: number | null
  stdout: string
  stderr: string
}

/** Starts the built command on the data folder `home`, with nothing on its standard input. */
export function spawnCommand(home: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [path.resolve('bin/vivarium.mjs'), ...args], {
    env: { ...process.env, VIVARIUM_HOME: home },
  })
}

export function ending(child: ChildProcessWithoutNullStreams): Promise<Run> {
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, ...output })))
}

/** Runs the built command to its end. */
export function vivarium(home: string, args: readonly string[], stdin = ''): Promise<Run> {
  const child = spawnCommand(home, args)
  // a command that ends without reading what it is given is no fault of the test
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  return ending(child)
}
