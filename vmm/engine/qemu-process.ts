import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { RUN_FILES } from './qemu-names'
import { DISKS_SOCKET } from './run-folder'

/** How much of QEMU's own words is told of a failure, characters. */
const LAST_WORDS = 600
const LOOK_EVERY_MS = 50

/** A version 8 UUID (RFC 9562) that follows from a domain's id: what a machine tells when it is asked who it is. */
export function machineUuid(domainId: string): string {
  const hex = createHash('sha256').update(`machine ${domainId}`).digest('hex')
  const variant = ((parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `${variant}${hex.slice(17, 20)}`]
  return [...parts, hex.slice(20, 32)].join('-')
}

/**
 * A QEMU process that outlives this one. It runs in a folder of its own, where its sockets, its log and its pid file
 * are. A pid is never believed by itself: the command line of the process must give the machine's UUID.
 */
export class QemuProcess {
  private constructor(
    readonly pid: number,
    private readonly folder: string,
    private readonly uuid: string,
    /** Resolves when the process is gone. */
    readonly gone: Promise<void>,
  ) {}

  /** Starts the command in `folder`, which is emptied first. */
  static async start(command: readonly string[], folder: string, uuid: string): Promise<QemuProcess> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
    await clear(folder)
    const log = await open(path.join(folder, RUN_FILES.log), 'a', 0o600)
    try {
      const [program = '', ...args] = command
      const child = spawn(program, args, {
        cwd: folder,
        detached: true, // it goes on when this process is ended with its group
        stdio: ['ignore', log.fd, log.fd],
        env: { PATH: process.env.PATH, HOME: folder, TMPDIR: process.env.TMPDIR, LC_ALL: 'C' },
      })
      const gone = new Promise<void>((resolve) => {
        child.once('exit', () => resolve())
        child.once('error', () => resolve())
      })
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', (error) =>
          reject(new VmmError('engine', `QEMU could not be started: ${error.message}`, { cause: error })),
        )
      })
      child.unref()
      // QEMU writes it as well, but only when it has come that far
      await writeFile(path.join(folder, RUN_FILES.pid), String(child.pid), { mode: 0o600 })
      return new QemuProcess(child.pid ?? 0, folder, uuid, gone)
    } finally {
      await log.close()
    }
  }

  /** The process that an earlier main started in `folder`, if it lives. */
  static async find(folder: string, uuid: string): Promise<QemuProcess | null> {
    const text = await readFile(path.join(folder, RUN_FILES.pid), 'utf8').catch(() => '')
    const pid = Number(/^\d{1,10}\s*$/.exec(text)?.[0] ?? NaN)
    if (!Number.isInteger(pid) || !(await isOurs(pid, uuid))) return null
    return new QemuProcess(pid, folder, uuid, untilGone(pid, uuid))
  }

  /** Ends the process at once, and resolves when it is gone: false when it was gone already. */
  async kill(): Promise<boolean> {
    const lived = (await isOurs(this.pid, this.uuid)) && signal(this.pid, 'SIGKILL')
    // nothing else may keep this process from ending before, as when it has only just begun and tidies up
    const stay = setInterval(() => undefined, LOOK_EVERY_MS)
    await this.gone
    clearInterval(stay)
    return lived
  }

  /** What QEMU said last, for people. */
  lastWords(): Promise<string> {
    return QemuProcess.lastWordsIn(this.folder)
  }

  /** The same of a process that is gone. */
  static async lastWordsIn(folder: string): Promise<string> {
    const text = await tailOf(path.join(folder, RUN_FILES.log), LAST_WORDS)
    return safeText(text.trim().split('\n').join(' / '), LAST_WORDS)
  }
}

async function untilGone(pid: number, uuid: string): Promise<void> {
  // the child of another process cannot be waited for
  while (signal(pid, 0) && (await isOurs(pid, uuid))) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS).unref())
  }
}

function signal(pid: number, which: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, which)
    return true
  } catch {
    return false
  }
}

/**
 * Whether the process is a machine of this UUID, and not one that only speaks of it, such as a search; a dead one that
 * nobody has waited for has no command line.
 */
async function isOurs(pid: number, uuid: string): Promise<boolean> {
  const words = await wordsOf(pid)
  return words.some((word, at) => word === '-uuid' && words[at + 1] === uuid)
}

/** The words of a process's command line; where the system only gives them as one line, parted at every space. */
async function wordsOf(pid: number): Promise<string[]> {
  if (process.platform === 'linux')
    return (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).split('\0')
  const ps = promisify(execFile)
  return await ps('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).then(
    ({ stdout }) => stdout.trim().split(' '),
    () => [],
  )
}

/** The last `length` bytes of a file, as text; '' when there is none. */
async function tailOf(file: string, length: number): Promise<string> {
  const handle = await open(file, 'r').catch(() => null)
  if (!handle) return ''
  try {
    const { size } = await handle.stat()
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, Math.max(0, size - length))
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** Removes what an earlier machine has left; its disks are served for the next one already. */
async function clear(folder: string): Promise<void> {
  const left = (await readdir(folder)).filter((name) => name !== DISKS_SOCKET)
  for (const name of left) await rm(path.join(folder, name), { recursive: true, force: true })
}
