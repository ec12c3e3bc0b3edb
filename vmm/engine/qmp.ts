import { connect, type Socket } from 'node:net'
import * as v from 'valibot'
import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import { QMP_REPLIES, type QmpArguments, type QmpCommand, type QmpEvent, type QmpReply } from './qmp-commands'

/** How long QEMU may take for one answer, milliseconds. */
const ANSWER_WITHIN_MS = 20_000
/** Longest line that is taken; the longest honest ones (query-named-block-nodes) have some 100 KiB. */
const LINE_LIMIT = 4 * 1024 * 1024

interface Waiting {
  settle(message: Message): void
  fail(error: VmmError): void
}

const Message = v.object({
  id: v.optional(v.number()),
  return: v.optional(v.unknown()),
  error: v.optional(v.object({ class: v.string(), desc: v.string() })),
  event: v.optional(v.string()),
  data: v.optional(v.unknown()),
})
type Message = v.InferOutput<typeof Message>

const Greeting = v.object({
  QMP: v.object({ version: v.object({ qemu: v.object({ major: v.number(), minor: v.number(), micro: v.number() }) }) }),
})

/**
 * One connection to QEMU's machine protocol (docs/interop/qmp-spec): JSON objects, one a line. QEMU is not trusted
 * more than its guest: lines are bounded, answers are checked, and one that does not come in time fails its command.
 */
export class QmpClient {
  /** `closed` resolves when the connection is gone, with why. */
  readonly closed: Promise<string>
  readonly #listeners = new Set<(event: QmpEvent) => void>()
  readonly #waiting = new Map<number, Waiting>()
  #id = 0
  #buffer: Buffer[] = []
  #buffered = 0
  #end: string | null = null
  #greet: ((greeting: unknown) => void) | null = null

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk) => this.#take(chunk))
    this.closed = new Promise((resolve) => {
      socket.on('error', (error) => (this.#end ??= error.message))
      socket.on('close', () => {
        const why = (this.#end ??= 'QEMU closed the connection')
        for (const { fail } of this.#waiting.values()) fail(gone(why))
        this.#waiting.clear()
        resolve(why)
      })
    })
  }

  /** Connects, checks the greeting and negotiates. Fails with kind `engine`. */
  static async connect(path: string, withinMs = ANSWER_WITHIN_MS): Promise<QmpClient> {
    const socket = connect(path)
    const client = new QmpClient(socket)
    try {
      await client.#negotiate(withinMs)
      return client
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** Runs one command and checks its answer. Fails with kind `engine` for a refusal, `timeout` for silence. */
  async run<C extends QmpCommand>(
    command: C,
    args: QmpArguments<C>,
    withinMs = ANSWER_WITHIN_MS,
  ): Promise<QmpReply<C>> {
    const { return: given } = await this.#exchange(command, args, withinMs)
    const reply = v.safeParse(QMP_REPLIES[command], given)
    if (reply.success) return reply.output
    throw new VmmError('engine', `QEMU gave a malformed answer to '${command}'.`, {
      hint: 'Its version may be too new or too old for Vivarium.',
      context: { issue: reply.issues[0].message },
    })
  }

  /** Calls `listener` for every event; returns the function that ends it. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#end ??= 'the connection was closed'
    this.socket.destroy()
  }

  async #negotiate(withinMs: number): Promise<void> {
    const greeting = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(silent('connect')), withinMs)
      this.#greet = (message) => {
        clearTimeout(timer)
        resolve(message)
      }
      void this.closed.then((why) => {
        clearTimeout(timer)
        reject(gone(why))
      })
    })
    if (!v.is(Greeting, greeting)) throw new VmmError('engine', 'What listens there does not speak as QEMU does.')
    await this.run('qmp_capabilities', {}, withinMs)
  }

  #exchange(command: string, args: object, withinMs: number): Promise<Message> {
    if (this.#end !== null) return Promise.reject(gone(this.#end))
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer)
        this.#waiting.delete(id)
      }
      const timer = setTimeout(() => {
        settle()
        reject(silent(command))
      }, withinMs)
      this.#waiting.set(id, {
        settle: (message) => {
          settle()
          if (message.error) reject(refused(command, message.error.desc))
          else resolve(message)
        },
        fail: (error) => {
          settle()
          reject(error)
        },
      })
      this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\r\n`)
    })
  }

  #take(chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0;) {
      const end = rest.indexOf(0x0a)
      const part = end === -1 ? rest : rest.subarray(0, end)
      this.#buffered += part.length
      if (this.#buffered > LINE_LIMIT) return this.#refuse('a line without end')
      this.#buffer.push(part)
      if (end === -1) return
      const line = Buffer.concat(this.#buffer).toString('utf8').trim()
      this.#buffer = []
      this.#buffered = 0
      if (line !== '' && !this.#receive(line)) return this.#refuse('what is not understood')
      rest = rest.subarray(end + 1)
    }
  }

  /** False for anything but JSON. */
  #receive(line: string): boolean {
    const read = v.safeParse(v.pipe(v.string(), v.parseJson()), line)
    if (!read.success) return false
    if (this.#greet) {
      this.#greet(read.output)
      this.#greet = null
      return true
    }
    const message = v.safeParse(Message, read.output)
    if (!message.success) return false
    const { id, event, data } = message.output
    if (id !== undefined) this.#waiting.get(id)?.settle(message.output)
    else if (event !== undefined) for (const listener of this.#listeners) listener({ name: event, data: plain(data) })
    return true
  }

  #refuse(what: string): void {
    this.#end = `QEMU sent ${what}`
    this.socket.destroy()
  }
}

function plain(data: unknown): Record<string, unknown> {
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {}
}

function gone(why: string): VmmError {
  return new VmmError('engine', 'The connection to QEMU is gone.', { context: { why } })
}

function silent(command: string): VmmError {
  return new VmmError('timeout', `QEMU did not answer to '${command}' in time.`, {
    hint: 'Try again, or use Force Off.',
    context: { command },
  })
}

function refused(command: string, description: string): VmmError {
  return new VmmError('engine', `QEMU refused '${command}': ${safeText(description, 300)}`, { context: { command } })
}
