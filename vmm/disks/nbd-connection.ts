import type { Socket } from 'node:net'
import { asVmmError } from '../model/errors'
import type { Gate } from '../throttle/gate'
import { GREETING, Handshake, type Exports } from './nbd-handshake'
import {
  COMMAND,
  COMMAND_FUA,
  NBD_ERROR,
  PAYLOAD_MOST,
  REPLY_BYTES,
  REPLY_MAGIC,
  REQUEST_BYTES,
  REQUEST_MAGIC,
} from './nbd-protocol'

/** When so much of one connection is under way, or to be sent, bytes, the next request is not taken. */
const IN_FLIGHT_MOST = 64
const IN_FLIGHT_BYTES = 32 * 1024 * 1024
const UNSENT_MOST = 8 * 1024 * 1024

/** A disk as it is served. */
export interface ServedDisk {
  readonly size: number
  read(position: number, into: Uint8Array): void
  write(position: number, data: Uint8Array): void
  zero(position: number, length: number): void
  flush(): Promise<void>
}

export interface NbdExport {
  disk: ServedDisk
  /** What every read and write passes before it is done. */
  gate: Gate
  readonly size: number
}

interface Request {
  command: number
  fua: boolean
  cookie: Buffer
  position: number
  length: number
  data: Buffer
}

/** One client of an NBD server. */
export class NbdConnection {
  readonly #input: Buffer[] = []
  #inputBytes = 0
  #handshake: Handshake<NbdExport> | null
  #export: NbdExport | null = null
  #inFlight = 0
  #inFlightBytes = 0
  #held = false

  constructor(
    private readonly socket: Socket,
    exports: Exports<NbdExport>,
    private readonly onIdle: () => void,
  ) {
    this.#handshake = new Handshake(exports)
    socket.on('data', (data) => {
      if (!this.#handshake && !this.#export) return // it has been told to go
      this.#input.push(data)
      this.#inputBytes += data.length
      this.#work()
    })
    socket.on('drain', () => this.#work())
    socket.on('error', () => socket.destroy())
    socket.write(GREETING)
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Takes no further request until `release`. */
  hold(): void {
    this.#held = true
    this.socket.pause()
  }

  release(): void {
    this.#held = false
    this.#work()
  }

  #work(): void {
    while (!this.socket.destroyed && this.#handshake) if (!this.#haggle(this.#handshake)) return
    while (!this.socket.destroyed && this.#export && this.#mayTake()) {
      const request = this.#nextRequest()
      if (!request) break
      this.#serve(request, this.#export)
    }
    if (this.#mayTake()) this.socket.resume()
    else this.socket.pause()
  }

  #mayTake(): boolean {
    if (this.#held || this.#inFlight >= IN_FLIGHT_MOST || this.#inFlightBytes >= IN_FLIGHT_BYTES) return false
    return this.socket.writableLength < UNSENT_MOST
  }

  /** Returns whether there may be more to haggle about in what was read. */
  #haggle(handshake: Handshake<NbdExport>): boolean {
    const step = handshake.take(this.#joined())
    if (step.reply) this.socket.write(step.reply)
    if (step.then === 'close') {
      this.socket.end()
      this.#handshake = null
      return false
    }
    this.#use(step.used)
    if (step.then === 'serve') {
      this.#handshake = null
      this.#export = step.export
    }
    return step.used > 0
  }

  /** The next whole request, or null. Closes for one that breaks the rules of the protocol. */
  #nextRequest(): Request | null {
    if (this.#inputBytes < REQUEST_BYTES) return null
    const first = this.#input[0]
    const head = first && first.length >= REQUEST_BYTES ? first : this.#joined()
    const command = head.readUInt16BE(6)
    const length = head.readUInt32BE(24)
    const payload = command === COMMAND.write ? length : 0
    if (head.readUInt32BE(0) !== REQUEST_MAGIC || payload > PAYLOAD_MOST) {
      this.socket.destroy()
      return null
    }
    if (this.#inputBytes < REQUEST_BYTES + payload) return null
    const whole = first && first.length >= REQUEST_BYTES + payload ? first : this.#joined()
    const request = {
      command,
      fua: (whole.readUInt16BE(4) & COMMAND_FUA) !== 0,
      cookie: whole.subarray(8, 16),
      position: Number(whole.readBigUInt64BE(16)),
      length,
      data: whole.subarray(REQUEST_BYTES, REQUEST_BYTES + payload),
    }
    this.#use(REQUEST_BYTES + payload)
    return request
  }

  #serve(request: Request, served: NbdExport): void {
    if (request.command === COMMAND.disconnect) {
      this.#handshake = null
      this.#export = null
      this.socket.end()
      return
    }
    const refusal = refusalOf(request, served.disk.size)
    if (refusal !== null) return this.#reply(request, refusal)
    const pass = passage(request, served.gate)
    if (pass === null && !needsDisk(request)) return this.#perform(request, served.disk)
    this.#inFlight++
    this.#inFlightBytes += request.length
    void this.#later(request, served, pass).finally(() => {
      this.#inFlight--
      this.#inFlightBytes -= request.length
      if (this.#inFlight === 0) this.onIdle()
      this.#work()
    })
  }

  async #later(request: Request, { disk }: NbdExport, pass: Promise<void> | null): Promise<void> {
    try {
      await pass
      if (needsDisk(request)) {
        if (request.command !== COMMAND.flush) change(request, disk)
        await disk.flush()
        this.#reply(request, NBD_ERROR.none)
      } else this.#perform(request, disk)
    } catch (error) {
      this.#reply(request, numberOf(error))
    }
  }

  /** What needs no waiting. */
  #perform(request: Request, disk: ServedDisk): void {
    try {
      if (request.command !== COMMAND.read) {
        change(request, disk)
        this.#reply(request, NBD_ERROR.none)
        return
      }
      const answer = Buffer.allocUnsafeSlow(REPLY_BYTES + request.length)
      disk.read(request.position, answer.subarray(REPLY_BYTES))
      replyHeader(answer, request, NBD_ERROR.none)
      this.socket.write(answer)
    } catch (error) {
      this.#reply(request, numberOf(error))
    }
  }

  #reply(request: Request, error: number): void {
    if (this.socket.destroyed) return
    const answer = Buffer.allocUnsafe(REPLY_BYTES)
    replyHeader(answer, request, error)
    this.socket.write(answer)
  }

  #joined(): Buffer {
    if (this.#input.length !== 1) this.#input.splice(0, this.#input.length, Buffer.concat(this.#input))
    return this.#input[0] as Buffer
  }

  #use(bytes: number): void {
    this.#inputBytes -= bytes
    const first = this.#input[0] as Buffer
    if (first.length === bytes) this.#input.shift()
    else this.#input[0] = first.subarray(bytes)
  }
}

function refusalOf({ command, position, length }: Request, size: number): number | null {
  if (command === COMMAND.flush) return null
  const known = command === COMMAND.read || command === COMMAND.write || isZeroing(command)
  if (!known || (command === COMMAND.read && length > PAYLOAD_MOST)) return NBD_ERROR.invalid
  if (position + length <= size) return null
  return command === COMMAND.read ? NBD_ERROR.invalid : NBD_ERROR.noSpace
}

function isZeroing(command: number): boolean {
  return command === COMMAND.trim || command === COMMAND.writeZeroes
}

function needsDisk({ command, fua }: Request): boolean {
  return command === COMMAND.flush || (fua && command !== COMMAND.read)
}

/** Zeroing costs the host nothing that is worth a budget but the request itself. */
function passage({ command, length }: Request, gate: Gate): Promise<void> | null {
  if (command === COMMAND.flush) return null
  if (command === COMMAND.read) return gate.pass('read', length)
  return gate.pass('write', isZeroing(command) ? 0 : length)
}

function change({ command, position, length, data }: Request, disk: ServedDisk): void {
  if (command === COMMAND.write) disk.write(position, data)
  else disk.zero(position, length)
}

function replyHeader(answer: Buffer, { cookie }: Request, error: number): void {
  answer.writeUInt32BE(REPLY_MAGIC, 0)
  answer.writeUInt32BE(error, 4)
  answer.set(cookie, 8)
}

function numberOf(thrown: unknown): number {
  const { kind } = asVmmError(thrown, 'serve the disk')
  if (kind === 'disk-full') return NBD_ERROR.noSpace
  if (kind === 'invalid') return NBD_ERROR.invalid
  return kind === 'state' ? NBD_ERROR.shutdown : NBD_ERROR.io
}
