import { VmmError } from '../../vmm/model/errors'
import { CHUNK_LIMIT } from '../contract'
import type { CliSession } from './session'

const WAIT_MS = 20_000
/** With --json the output is kept whole; beyond this many bytes it is cut. */
const KEPT_LIMIT = 64 * 1024 * 1024
/** When to tell that standard input is being waited for, milliseconds. */
const STDIN_NOTICE_MS = 3000

export interface Execution {
  /** Domain. */
  id: string
  argv: string[]
  stdin: Uint8Array<ArrayBuffer> | null
  stopped: AbortSignal
}

/** How a command ended: with a status, or by a signal. */
export interface Ending {
  exitCode: number | null
  signal: number | null
}

/** The shell's convention: 128 and the signal for a command that one ended. */
export function commandStatus({ exitCode, signal }: Ending): number {
  return exitCode ?? 128 + (signal ?? 0)
}

/** Runs a command in a guest and streams its output; with --json prints all at the end. */
export async function execute(cli: CliSession, { id, argv, stdin, stopped }: Execution): Promise<Ending> {
  const { execId } = await cli.call('exec.start', { id, argv, ...(stdin ? { stdin } : {}) })
  const kept = { stdout: keeper(), stderr: keeper() }
  const halted = aborted(stopped)
  for (;;) {
    const chunk = await Promise.race([cli.call('exec.read', { execId, waitMs: WAIT_MS }), halted])
    if (!chunk) {
      await cli.call('exec.stop', { execId })
      throw new VmmError('cancelled', 'The command was interrupted.')
    }
    if (cli.json) {
      kept.stdout.add(chunk.stdout)
      kept.stderr.add(chunk.stderr)
    } else {
      await write(process.stdout, chunk.stdout)
      await write(process.stderr, chunk.stderr)
    }
    if (!chunk.exited) continue
    const { exitCode, signal } = chunk
    cli.print({ exitCode, signal, stdout: kept.stdout.text(), stderr: kept.stderr.text() }, '')
    return { exitCode, signal }
  }
}

/** Resolves to null when `signal` aborts. */
function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null)
    signal.addEventListener('abort', () => resolve(null), { once: true })
  })
}

/** Resolves when the stream wants more: a reader that stops reading stops us, not our memory. */
function write(stream: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  if (bytes.byteLength === 0 || stream.write(bytes)) return Promise.resolve()
  return new Promise((resolve) => stream.once('drain', resolve))
}

function keeper(): { add(bytes: Uint8Array): void; text(): string } {
  const parts: Uint8Array[] = []
  let room = KEPT_LIMIT
  return {
    add(bytes) {
      const part = bytes.slice(0, room)
      room -= part.byteLength
      if (part.byteLength > 0) parts.push(part)
    },
    text: () => Buffer.concat(parts).toString('utf8'),
  }
}

/** What is piped in, up to what a call can carry; null for a terminal. */
export async function readStdin(stopped: AbortSignal): Promise<Uint8Array<ArrayBuffer> | null> {
  if (process.stdin.isTTY) return null
  // ends the loop below
  stopped.addEventListener('abort', () => process.stdin.destroy())
  const notice = setTimeout(() => {
    process.stderr.write('vivarium: waiting for standard input to end (--no-stdin goes without it)\n')
  }, STDIN_NOTICE_MS)
  const parts: Buffer[] = []
  let size = 0
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    parts.push(part)
    size += part.byteLength
    if (size > CHUNK_LIMIT) break
  }
  clearTimeout(notice)
  if (size > CHUNK_LIMIT) process.stderr.write('vivarium: only the first 256 KiB of standard input are passed on\n')
  return new Uint8Array(Buffer.concat(parts).subarray(0, CHUNK_LIMIT))
}
