import { spawn } from 'node:child_process'
import { errorCode, VmmError } from '../model/errors'

export interface ProgramOptions {
  signal?: AbortSignal | undefined
  cwd?: string
  /** Added to this process's environment. */
  env?: Record<string, string>
}

export interface ProgramOutcome {
  /** Exit status; null when a signal ended it. */
  status: number | null
  stdout: string
  /** At most the last 64 KiB. */
  stderr: string
}

/** More output than any program used here has reason to write, bytes. */
const STDOUT_LIMIT = 16 * 1024 * 1024
const STDERR_KEPT = 64 * 1024

/**
 * Runs `command` to its end, whatever its status. When `signal` fires, the program and all its children are
 * killed, and the promise rejects with `cancelled` only after the last of them has let go of its output, so
 * that the caller can remove the files they were writing.
 */
export function runProgram(command: string, args: string[], options: ProgramOptions = {}): Promise<ProgramOutcome> {
  const { signal, cwd, env } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new VmmError('cancelled', `${command} was cancelled.`))
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group of its own, so that its children can be killed with it
      env: { ...process.env, LC_ALL: 'C', ...env },
      ...(cwd === undefined ? {} : { cwd }),
    })
    const stdout: Buffer[] = []
    let stdoutBytes = 0
    let stderr = ''
    const kill = () => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // it has ended by itself
      }
    }
    signal?.addEventListener('abort', kill, { once: true })
    child.stdout.on('data', (bytes: Buffer) => {
      stdoutBytes += bytes.length
      if (stdoutBytes <= STDOUT_LIMIT) stdout.push(bytes)
      else kill()
    })
    child.stderr.on('data', (bytes: Buffer) => {
      stderr = (stderr + bytes.toString('utf8')).slice(-STDERR_KEPT)
    })
    child.on('error', (error) => {
      signal?.removeEventListener('abort', kill)
      reject(notStarted(command, error))
    })
    child.on('close', (status) => {
      signal?.removeEventListener('abort', kill)
      if (signal?.aborted) return reject(new VmmError('cancelled', `${command} was cancelled.`))
      if (stdoutBytes > STDOUT_LIMIT) return reject(new VmmError('internal', `${command} wrote too much output.`))
      resolve({ status, stdout: Buffer.concat(stdout).toString('utf8'), stderr })
    })
  })
}

function notStarted(command: string, error: Error): VmmError {
  if (errorCode(error) === 'ENOENT') {
    return new VmmError('unsupported', `This host has no ${command}.`, { context: { command }, cause: error })
  }
  return new VmmError('unsupported', `${command} could not be started: ${error.message}`, { cause: error })
}
