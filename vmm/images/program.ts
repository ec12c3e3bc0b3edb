import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'
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
 * Absolute path of the first program that is there under one of `names`: on the path and in the folders `also`, or in
 * the folders `only`. Null when there is none.
 */
export async function findProgram(
  names: readonly string[],
  { only, also = [] }: { only?: readonly string[]; also?: readonly string[] } = {},
): Promise<string | null> {
  const folders = only ?? [...(process.env.PATH ?? '').split(delimiter), ...also]
  const ending = process.platform === 'win32' ? '.exe' : ''
  for (const folder of folders.filter((each) => each !== '')) {
    for (const name of names) {
      const file = join(folder, `${name}${ending}`)
      if (await isProgram(file)) return file
    }
  }
  return null
}

async function isProgram(file: string): Promise<boolean> {
  return await access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/**
 * Runs `command` to its end, whatever its status. When `signal` fires, the program and all its children are
 * killed, and the promise rejects with `cancelled` only after the last of them has let go of its output, so
 * that the caller can remove the files they were writing.
 */
export function runProgram(command: string, args: string[], options: ProgramOptions = {}): Promise<ProgramOutcome> {
  const { signal, cwd, env } = options
  const cancelled = new VmmError('cancelled', `${command} was cancelled.`)
  if (signal?.aborted) return Promise.reject(cancelled)
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own, so that its children can be killed with it
    env: { ...process.env, LC_ALL: 'C', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  const kill = () => {
    killGroup(child.pid)
  }
  const stdout = collect(child.stdout, kill)
  let stderr = ''
  child.stderr.on('data', (bytes: Buffer) => {
    stderr = (stderr + bytes.toString('utf8')).slice(-STDERR_KEPT)
  })
  signal?.addEventListener('abort', kill, { once: true })
  const ended = new Promise<ProgramOutcome>((resolve, reject) => {
    child.on('error', (error) => {
      reject(notStarted(command, error))
    })
    child.on('close', (status) => {
      if (signal?.aborted) reject(cancelled)
      else if (stdout.overflowed) reject(new VmmError('internal', `${command} wrote too much output.`))
      else resolve({ status, stdout: stdout.text(), stderr })
    })
  })
  return ended.finally(() => signal?.removeEventListener('abort', kill))
}

/** Keeps what comes from `stream`; calls `stop` when it is more than the limit. */
function collect(stream: Readable, stop: () => void) {
  const pieces: Buffer[] = []
  const collected = { overflowed: false, text: () => Buffer.concat(pieces).toString('utf8') }
  let total = 0
  stream.on('data', (bytes: Buffer) => {
    total += bytes.length
    if (total <= STDOUT_LIMIT) {
      pieces.push(bytes)
    } else {
      collected.overflowed = true
      stop()
    }
  })
  return collected
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // it has ended by itself
  }
}

function notStarted(command: string, error: Error): VmmError {
  if (errorCode(error) === 'ENOENT') {
    return new VmmError('unsupported', `This host has no ${command}.`, { context: { command }, cause: error })
  }
  return new VmmError('unsupported', `${command} could not be started: ${error.message}`, { cause: error })
}
