import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { READ_BYTES, type GuestCommands } from './guest-commands'

/** Pause between two looks at a quiet command, milliseconds: short at first, longer while nothing comes. */
const PAUSE_MS = { least: 10, most: 200 } as const
const SIGTERM = 15
const SIGKILL = 9

/**
 * Runs in the guest. Output goes to files, from which it is streamed: the agent would hand it over only at the end.
 * A group of its own lets the command be stopped and continued with all its children.
 */
const LAUNCH = 'f=$1; shift; cd / && exec setsid "$@" <"$f.in" >>"$f.out" 2>>"$f.err"'
const DRAINED = ': >"$2.$3"; kill -CONT "-$1"'

export interface ExecOutput {
  stdout: Uint8Array
  stderr: Uint8Array
}

export interface ExecEnd {
  exitCode: number | null
  signal: number | null
}

type Stream = 'out' | 'err'
const NOTHING = new Uint8Array()

/** One command in a guest: its output as it comes, and how it ended. */
export class GuestExec {
  #pid = 0
  #handles: Record<Stream, number> = { out: -1, err: -1 }
  /** Path of the command's files in the guest's memory, without their endings. */
  readonly #files = `/run/exec-${randomBytes(8).toString('hex')}`

  private constructor(private readonly commands: GuestCommands) {}

  static async start(commands: GuestCommands, argv: string[], stdin?: Uint8Array): Promise<GuestExec> {
    const exec = new GuestExec(commands)
    await exec.#start(argv, stdin)
    return exec
  }

  /** Streams until the command has ended and all its output is read; its files are then removed from the guest. */
  async follow(onOutput: (output: ExecOutput) => void | Promise<void>): Promise<ExecEnd> {
    try {
      let pause: number = PAUSE_MS.least
      for (;;) {
        // once the agent has told the end it forgets the command; all output is in the files by then
        const status = await this.commands.execStatus(this.#pid)
        const taken = await this.#take('out', status.exited, (stdout) => onOutput({ stdout, stderr: NOTHING }))
        const quiet =
          taken + (await this.#take('err', status.exited, (stderr) => onOutput({ stdout: NOTHING, stderr }))) === 0
        if (status.exited) return { exitCode: status.exitCode, signal: status.signal }
        pause = quiet ? Math.min(PAUSE_MS.most, pause * 1.5) : PAUSE_MS.least
        await delay(pause)
      }
    } finally {
      void this.#cleanUp()
    }
  }

  /** Asks the command to end; after a while, ends it. */
  async stop(): Promise<void> {
    await this.#signal(SIGTERM)
    await delay(2000)
    await this.#signal(SIGKILL)
  }

  async #start(argv: string[], stdin: Uint8Array = new Uint8Array()): Promise<void> {
    const input = await this.commands.open(`${this.#files}.in`, 'w')
    await this.commands.write(input, stdin)
    await this.commands.close(input)
    this.#handles.out = await this.commands.open(`${this.#files}.out`, 'w+')
    this.#handles.err = await this.commands.open(`${this.#files}.err`, 'w+')
    this.#pid = await this.commands.exec('/bin/sh', ['-c', LAUNCH, 'sh', this.#files, ...argv])
  }

  /**
   * Hands on the new output of one stream, piece by piece; returns how many bytes it was. A command that writes faster
   * than the line to the host carries is stopped, its file read to the end and emptied, and the command continued: so
   * the guest's memory holds only what is on its way, and the host's one piece.
   */
  async #take(stream: Stream, ended: boolean, give: (bytes: Uint8Array) => void | Promise<void>): Promise<number> {
    const handle = this.#handles[stream]
    const first = await this.commands.read(handle)
    if (first.bytes.byteLength > 0) await give(first.bytes)
    if (first.bytes.byteLength < READ_BYTES) return first.bytes.byteLength
    if (!ended) await this.#signal('STOP')
    let taken = first.bytes.byteLength
    for (let read = first; read.bytes.byteLength > 0; taken += read.bytes.byteLength) {
      read = await this.commands.read(handle)
      if (read.bytes.byteLength > 0) await give(read.bytes)
    }
    if (!ended) {
      await this.commands.run('/bin/sh', ['-c', DRAINED, 'sh', String(this.#pid), this.#files, stream])
      await this.commands.rewind(handle)
    }
    return taken
  }

  async #signal(signal: number | string): Promise<void> {
    await this.commands.run('/bin/sh', ['-c', 'kill "-$1" "-$2"', 'sh', String(signal), String(this.#pid)])
  }

  async #cleanUp(): Promise<void> {
    try {
      await this.commands.close(this.#handles.out)
      await this.commands.close(this.#handles.err)
      await this.commands.exec(
        '/bin/rm',
        ['in', 'out', 'err'].map((ending) => `${this.#files}.${ending}`),
      )
    } catch {
      // the guest is gone or busy; what is left is a few files in its memory
    }
  }
}
