import type { SerialPort } from '../../vmm/engine/machine'

export interface AgentRequest {
  execute: string
  arguments: Record<string, unknown>
}

/** A serial port whose far end is the test: it sees whole requests, and says what it likes. */
export class ScriptedPort implements SerialPort {
  readonly requests: AgentRequest[] = []
  readonly #listeners = new Set<(bytes: Uint8Array) => void>()
  #rest = ''

  constructor(private readonly answer: (request: AgentRequest, port: ScriptedPort) => void = answerSyncs) {}

  get listeners(): number {
    return this.#listeners.size
  }

  write(bytes: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(bytes).toString('latin1').replaceAll('\u00ff', '')).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      const request = JSON.parse(Buffer.from(line, 'latin1').toString()) as AgentRequest
      this.requests.push(request)
      this.answer(request, this)
    }
  }

  onData(receive: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(receive)
    return () => this.#listeners.delete(receive)
  }

  /** Bytes, or a value as a line of JSON. */
  say(what: unknown): void {
    const bytes = what instanceof Uint8Array ? what : Buffer.from(`${JSON.stringify(what)}\n`)
    for (const receive of this.#listeners) receive(bytes)
  }
}

/** What an honest agent answers to a request to synchronize. */
export function answerSyncs(request: AgentRequest, port: ScriptedPort): void {
  if (request.execute === 'guest-sync-delimited') port.say({ return: request.arguments.id })
}
