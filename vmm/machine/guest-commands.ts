import * as v from 'valibot'
import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import type { GuestAgent } from './agent'

/** Most bytes taken in one read of a guest file. */
export const READ_BYTES = 48 * 1024
/** Bytes written to a guest file at a time: with base64 and JSON around it well inside one serial buffer. */
const WRITE_BYTES = 12 * 1024

const positive = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2 ** 31 - 1))

const Started = v.object({ pid: positive })
const Handle = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const Read = v.object({ 'buf-b64': v.pipe(v.string(), v.maxLength(READ_BYTES * 2)), eof: v.boolean() })
const Status = v.object({
  exited: v.boolean(),
  // 32 bits on Windows, 8 elsewhere
  exitcode: v.optional(v.pipe(v.number(), v.integer(), v.minValue(-(2 ** 31)), v.maxValue(2 ** 32 - 1))),
  signal: v.optional(v.pipe(positive, v.maxValue(64))),
  'out-data': v.optional(v.string()),
  'err-data': v.optional(v.string()),
})

const INTERFACES_SHOWN = 32
const Interfaces = v.array(
  v.object({
    name: v.string(),
    'hardware-address': v.optional(v.string()),
    'ip-addresses': v.optional(
      v.array(
        v.object({ 'ip-address': v.string(), prefix: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)) }),
      ),
    ),
  }),
)

export interface GuestInterface {
  name: string
  mac: string
  /** With their prefix lengths, such as '10.0.2.15/24'. */
  addresses: string[]
}

export interface CommandStatus {
  exited: boolean
  exitCode: number | null
  signal: number | null
  stdout: Uint8Array
  stderr: Uint8Array
}

/** The commands of qemu-guest-agent that Vivarium uses, with their answers checked. */
export class GuestCommands {
  constructor(private readonly agent: GuestAgent) {}

  /** Starts a program by its absolute path; returns its process id in the guest. */
  async exec(path: string, args: string[], options: { input?: Uint8Array; capture?: boolean } = {}): Promise<number> {
    const answer = await this.agent.call('guest-exec', {
      path,
      arg: args,
      'capture-output': options.capture ?? false,
      ...(options.input ? { 'input-data': Buffer.from(options.input).toString('base64') } : {}),
    })
    return check(Started, answer, 'guest-exec').pid
  }

  async execStatus(pid: number): Promise<CommandStatus> {
    const status = check(Status, await this.agent.call('guest-exec-status', { pid }), 'guest-exec-status')
    return {
      exited: status.exited,
      exitCode: status.exitcode ?? null,
      signal: status.signal ?? null,
      stdout: Buffer.from(status['out-data'] ?? '', 'base64'),
      stderr: Buffer.from(status['err-data'] ?? '', 'base64'),
    }
  }

  /** Runs a short program to its end. Fails with kind `guest` when it does not succeed within `withinMs`. */
  async run(
    path: string,
    args: string[],
    options: { input?: Uint8Array; withinMs?: number } = {},
  ): Promise<CommandStatus> {
    const pid = await this.exec(path, args, { ...options, capture: true })
    const deadline = performance.now() + (options.withinMs ?? 10_000)
    // asking costs an emulated guest about as much as starting a program does
    for (let pause = 25; ; pause = Math.min(100, pause * 2)) {
      await new Promise((resolve) => setTimeout(resolve, pause))
      const status = await this.execStatus(pid)
      if (status.exited) return status
      if (performance.now() > deadline) throw new VmmError('timeout', `The guest did not finish '${path}' in time.`)
    }
  }

  async open(path: string, mode: 'r' | 'w' | 'w+'): Promise<number> {
    return check(Handle, await this.agent.call('guest-file-open', { path, mode }), 'guest-file-open')
  }

  async read(handle: number): Promise<{ bytes: Uint8Array; eof: boolean }> {
    const answer = check(
      Read,
      await this.agent.call('guest-file-read', { handle, count: READ_BYTES }),
      'guest-file-read',
    )
    return { bytes: Buffer.from(answer['buf-b64'], 'base64'), eof: answer.eof }
  }

  async write(handle: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += WRITE_BYTES) {
      const piece = Buffer.from(bytes.subarray(at, at + WRITE_BYTES)).toString('base64')
      await this.agent.call('guest-file-write', { handle, 'buf-b64': piece })
    }
  }

  /** Goes back to the beginning of the file. */
  async rewind(handle: number): Promise<void> {
    await this.agent.call('guest-file-seek', { handle, offset: 0, whence: 0 })
  }

  async close(handle: number): Promise<void> {
    await this.agent.call('guest-file-close', { handle })
  }

  /** Holds every file system still, with all written out; false for a guest that cannot. */
  async freeze(): Promise<boolean> {
    return await this.agent.call('guest-fsfreeze-freeze').then(
      (count) => typeof count === 'number' && count > 0,
      () => false,
    )
  }

  async thaw(): Promise<void> {
    await this.agent.call('guest-fsfreeze-thaw')
  }

  /** The network interfaces as the guest tells them, safe to show. */
  async interfaces(): Promise<GuestInterface[]> {
    const told = check(
      Interfaces,
      await this.agent.call('guest-network-get-interfaces'),
      'guest-network-get-interfaces',
    )
    return told.slice(0, INTERFACES_SHOWN).map((one) => ({
      name: safeText(one.name, 50),
      mac: safeText(one['hardware-address'] ?? '', 20),
      addresses: (one['ip-addresses'] ?? [])
        .slice(0, INTERFACES_SHOWN)
        .map((address) => `${safeText(address['ip-address'], 50)}/${address.prefix}`),
    }))
  }

  async shutdown(mode: 'powerdown' | 'reboot'): Promise<void> {
    await this.agent.send('guest-shutdown', { mode })
  }
}

function check<S extends v.GenericSchema>(schema: S, answer: unknown, command: string): v.InferOutput<S> {
  const result = v.safeParse(schema, answer)
  if (result.success) return result.output
  throw new VmmError('guest', `The guest agent gave a malformed answer to '${command}'.`, {
    context: { issue: result.issues[0].message },
  })
}
