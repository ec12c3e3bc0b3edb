import { randomInt } from 'node:crypto'
import { VmmError } from '../model/errors'
import { safeText } from '../model/safe-text'
import type { SerialPort } from '../engine/machine'
import { LineReader } from './agent-lines'

/** How long the agent may take for one answer, milliseconds. */
const ANSWER_WITHIN_MS = 10_000
/** A request line longer than this could overrun the guest's serial buffer (64 KiB in Linux). */
export const REQUEST_LIMIT = 32 * 1024

interface Waiting {
  accept(answer: Record<string, unknown>): boolean
  fail(error: Error): void
}

/**
 * A client of qemu-guest-agent over a serial port (QEMU's docs/interop/qemu-ga-ref): one JSON object a line,
 * one request at a time. Everything that comes back is hostile: bounded, parsed, checked field by field.
 */
export class GuestAgent {
  readonly #reader = new LineReader()
  readonly #stopListening: () => void
  #waiting: Waiting | null = null
  #queue: Promise<unknown> = Promise.resolve()
  /** Whether an answer may still be on its way that nobody waits for. */
  #unsure = true
  #closed = false

  constructor(private readonly port: SerialPort) {
    this.#stopListening = port.onData((bytes) => {
      for (const line of this.#reader.push(bytes)) this.#receive(line)
    })
  }

  close(): void {
    this.#closed = true
    this.#stopListening()
    this.#waiting?.fail(new VmmError('guest', 'The machine has ended.'))
  }

  /** Waits until the agent answers, up to `withinMs`; false when it does not. */
  async answers(withinMs: number, signal?: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + withinMs
    for (let patience = 250; ; patience = Math.min(2000, patience * 1.5)) {
      const left = deadline - performance.now()
      if (left <= 0 || this.#closed || signal?.aborted) return false
      const synced = await this.#inTurn(() => this.#sync(Math.min(left, patience))).then(
        () => true,
        () => false,
      )
      if (synced) return true
    }
  }

  /** Runs one agent command. Fails with kind `guest` for a refusal, `timeout` for silence. */
  call(command: string, args: Record<string, unknown> = {}, withinMs = ANSWER_WITHIN_MS): Promise<unknown> {
    return this.#inTurn(async () => {
      if (this.#unsure) await this.#sync(withinMs)
      this.#unsure = true
      const answer = await this.#exchange(encodeRequest(command, args), () => true, withinMs)
      this.#unsure = false
      if ('error' in answer) throw refusal(command, answer.error)
      return answer.return
    })
  }

  /** Sends a command that is not answered when it succeeds, such as guest-shutdown. */
  send(command: string, args: Record<string, unknown>): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#unsure) await this.#sync(ANSWER_WITHIN_MS)
      this.#unsure = true
      this.port.write(encodeRequest(command, args))
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work)
    this.#queue = turn.catch(() => undefined)
    return turn
  }

  /** Byte 0xFF makes the agent drop a half-read request, and marks the answer that follows it. */
  async #sync(withinMs: number): Promise<void> {
    this.#unsure = true
    const id = randomInt(1, 2 ** 31)
    const request = Buffer.concat([Buffer.of(0xff), encodeRequest('guest-sync-delimited', { id })])
    await this.#exchange(request, (answer) => answer.return === id, withinMs)
    this.#unsure = false
  }

  #exchange(
    request: Uint8Array,
    isAnswer: (answer: Record<string, unknown>) => boolean,
    withinMs: number,
  ): Promise<Record<string, unknown>> {
    if (this.#closed) return Promise.reject(new VmmError('guest', 'The machine has ended.'))
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer)
        this.#waiting = null
      }
      const timer = setTimeout(() => {
        settle()
        reject(
          new VmmError('timeout', 'The guest agent did not answer in time.', {
            hint: 'Use the console, or Force Off.',
          }),
        )
      }, withinMs)
      this.#waiting = {
        accept: (answer) => {
          if (!isAnswer(answer)) return false
          settle()
          resolve(answer)
          return true
        },
        fail: (error) => {
          settle()
          reject(error)
        },
      }
      this.port.write(request)
    })
  }

  #receive(line: string): void {
    const answer = parseAnswer(line)
    if (answer) this.#waiting?.accept(answer)
  }
}

function encodeRequest(command: string, args: Record<string, unknown>): Uint8Array {
  const line = Buffer.from(`${JSON.stringify({ execute: command, arguments: args })}\n`)
  if (line.byteLength <= REQUEST_LIMIT) return line
  throw new VmmError('invalid', 'The request to the guest agent is too long.', {
    hint: 'Pass fewer or shorter arguments.',
  })
}

function parseAnswer(line: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(line)
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
    return isObject ? (parsed as Record<string, unknown>) : null
  } catch {
    return null // noise on the line, such as a boot message: the wait for a real answer goes on
  }
}

function refusal(command: string, error: unknown): VmmError {
  const given = typeof error === 'object' && error !== null && 'desc' in error ? error.desc : undefined
  const described = typeof given === 'string' ? given : 'no reason given'
  return new VmmError('guest', `The guest agent refused '${command}': ${safeText(described)}`, { context: { command } })
}
