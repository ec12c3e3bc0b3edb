import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { errorCode, VmmError } from '../model/errors'

export interface ProgramOptions {
  signal?: AbortSignal | undefined
  cwd?: string
  /** Added to this process's environment. */
  env?: Record<string, string>
  /** Receives the output as it comes; it is then not kept, and has no limit. */
  onStdout?: (text: string) => void
  /** Receives what it complains of, as it comes. */
  onStderr?: (text: string) => void
  /**
   * A file that the program writes. When this process dies, however, the program is killed and the file removed, so that
   * no orphan goes on filling the disk. Not on Windows, where an orphan comes to its own end.
   */
  scratch?: string
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
 * Runs "$@" beside a guard that waits for the end of a pipe which this process holds open and never writes to: it ends
 * when this process does. $0 is the scratch file. The text is constant; what comes from outside is in the arguments.
 */
const GUARDED = `
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
{ read -r nothing; kill -9 $program; rm -f -- "$0"; } <&3 3<&- >/dev/null 2>&1 &
guard=$!
wait $program
status=$?
kill -9 $guard
exit $status
`

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
      const file = resolve(folder, `${name}${ending}`)
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
  const { signal, cwd, env, onStdout, onStderr, scratch } = options
  const cancelled = new VmmError('cancelled', `${command} was cancelled.`)
  if (signal?.aborted) return Promise.reject(cancelled)
  const guarded = scratch !== undefined && process.platform !== 'win32'
  const [program, words] = guarded ? ['/bin/sh', ['-c', GUARDED, scratch, command, ...args]] : [command, args]
  const child = spawn(program, words, {
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
    detached: process.platform !== 'win32', // a process group of its own, so that its children can be killed with it
    env: { ...process.env, LC_ALL: 'C', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  if (!guarded) child.stdin.end()
  const kill = () => {
    if (process.platform === 'win32') child.kill()
    else killGroup(child.pid)
  }
  const stdout = onStdout ? passOn(child.stdout, onStdout) : collect(child.stdout, kill)
  let stderr = ''
  child.stderr.on('data', (bytes: Buffer) => {
    const text = bytes.toString('utf8')
    stderr = (stderr + text).slice(-STDERR_KEPT)
    onStderr?.(text)
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

function passOn(stream: Readable, receive: (text: string) => void) {
  stream.setEncoding('utf8').on('data', receive)
  return { overflowed: false, text: () => '' }
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
