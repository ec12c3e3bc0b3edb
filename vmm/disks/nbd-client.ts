import { connect, type Socket } from 'node:net'
import { VmmError } from '../model/errors'
import { NbdReplies } from './nbd-replies'
import { COMMAND, NBD_ERROR, REQUEST_BYTES, REQUEST_MAGIC } from './nbd-protocol'

/** Between attempts to reach a server, milliseconds. */
const AGAIN_MS = 100
/** What was written is kept here, unflushed, at most about this long, and to this amount. */
const UNFLUSHED_MS = 1000
const UNFLUSHED_BYTES = 8 * 1024 * 1024

interface Operation {
  command: number
  position: number
  length: number
  data: Uint8Array | null
  /** 0 while it is not sent. */
  cookie: number
  /** Of a write: how many were answered before it. Of a flush: how many were when it was sent. */
  mark: number
  /** Whether its caller has been told already that it is done. */
  again: boolean
  resolve(data: Buffer): void
  reject(error: Error): void
}

/**
 * A client of one export of an NBD server. It waits for a server that is away, and outlives its end: what was not
 * answered is sent again, and so is what was written since the last flush, which the old server may have forgotten. What
 * overlaps is done in the order in which it was asked for.
 */
export class NbdClient {
  #socket: Socket | null = null
  #replies: NbdReplies | null = null
  #size: number | null = null
  /** In the order they came. */
  #operations: Operation[] = []
  /** Writes that no flush has covered yet, oldest first. */
  #unflushed: Operation[] = []
  #unflushedBytes = 0
  #flushTimer: NodeJS.Timeout | null = null
  #connectTimer: NodeJS.Timeout | null = null
  #cookies = 0
  /** Writes that were answered. */
  #answers = 0
  #closed = false
  #connected: (() => void)[] = []

  /** `onFailure` hears of a failure that nobody waits for. Nothing is lost by it: `retry` tries again. */
  constructor(
    private readonly address: string,
    private readonly name: string,
    private readonly onFailure: (error: Error) => void,
  ) {}

  /** Resolves with the size in bytes; fails with kind `engine` when there is no such disk within `withinMs`. */
  async open(withinMs: number): Promise<number> {
    this.#connect()
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.close()
        reject(new VmmError('engine', 'The disk is not served.', { hint: 'Start the domain again.' }))
      }, withinMs)
      this.#connected.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
    return this.#size ?? 0
  }

  /** At most 32 MiB. Fails with what the server says. */
  read(position: number, length: number): Promise<Buffer> {
    return this.#submit(COMMAND.read, position, length, null)
  }

  /** `data` must not change until this resolves, at most 32 MiB. Kept once a flush has resolved. */
  async write(position: number, data: Uint8Array): Promise<void> {
    await this.#submit(COMMAND.write, position, data.byteLength, data)
  }

  /** Resolves when everything before is done, and what was written is on the host's disk. */
  async flush(): Promise<void> {
    await this.#submit(COMMAND.flush, 0, 0, null)
  }

  /** Tries again, on a new connection, what failed when nobody waited for it. */
  retry(): void {
    this.#socket?.destroy()
  }

  /** Gives up everything that is under way. */
  close(): void {
    this.#closed = true
    if (this.#flushTimer) clearTimeout(this.#flushTimer)
    if (this.#connectTimer) clearTimeout(this.#connectTimer)
    this.#socket?.destroy()
    const closed = new VmmError('state', 'The disk is closed.')
    for (const operation of this.#operations.splice(0)) operation.reject(closed)
  }

  #submit(command: number, position: number, length: number, data: Uint8Array | null): Promise<Buffer> {
    if (this.#closed) return Promise.reject(new VmmError('state', 'The disk is closed.'))
    return new Promise((resolve, reject) => {
      this.#operations.push({ command, position, length, data, cookie: 0, mark: 0, again: false, resolve, reject })
      this.#sendAll()
    })
  }

  #connect(): void {
    const socket = connect(this.address)
    const replies = new NbdReplies(this.name, {
      send: (bytes) => void socket.write(bytes),
      ready: (size) => this.#ready(replies, size),
      lengthOf: (cookie) => this.#readLength(cookie),
      reply: (cookie, error, data) => this.#answered(cookie, error, data),
    })
    this.#socket = socket
    socket.on('data', (data) => {
      if (!replies.take(data)) socket.destroy()
    })
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      this.#replies = null
      if (!this.#closed) this.#connectTimer = setTimeout(() => this.#connect(), AGAIN_MS)
    })
  }

  #ready(replies: NbdReplies, size: number): void {
    this.#size = size
    this.#replies = replies
    const again = this.#unflushed.splice(0).map((operation) => ({ ...operation, again: true }))
    this.#unflushedBytes = 0
    this.#operations = [...again, ...this.#operations]
    for (const operation of this.#operations) operation.cookie = 0
    for (const connected of this.#connected.splice(0)) connected()
    this.#sendAll()
  }

  #sendAll(): void {
    if (!this.#replies || !this.#socket) return
    for (const [index, operation] of this.#operations.entries()) {
      if (operation.cookie !== 0) continue
      if (this.#operations.some((earlier, before) => before < index && mustWait(operation, earlier))) continue
      operation.cookie = ++this.#cookies
      operation.mark = this.#answers
      this.#socket.write(header(operation))
      if (operation.data) this.#socket.write(operation.data)
    }
  }

  #find(cookie: number): Operation | undefined {
    return cookie === 0 ? undefined : this.#operations.find((each) => each.cookie === cookie)
  }

  #readLength(cookie: number): number | null {
    const operation = this.#find(cookie)
    if (!operation) return null
    return operation.command === COMMAND.read ? operation.length : 0
  }

  #answered(cookie: number, error: number, data: Buffer): void {
    const operation = this.#find(cookie)
    if (!operation) return
    this.#operations.splice(this.#operations.indexOf(operation), 1)
    if (error !== NBD_ERROR.none) this.#failed(operation, failure(error))
    else {
      if (operation.command === COMMAND.write) this.#wrote(operation)
      if (operation.command === COMMAND.flush) this.#flushed(operation)
      operation.resolve(data)
    }
    this.#sendAll()
  }

  #failed(operation: Operation, error: VmmError): void {
    if (!operation.again) {
      operation.reject(error)
      return
    }
    this.#keep(operation)
    this.onFailure(error)
  }

  #wrote(operation: Operation): void {
    this.#keep(operation)
    const flush = () => {
      this.#flushTimer = null
      this.flush().catch((error: unknown) => {
        if (!this.#closed) this.onFailure(error as Error)
      })
    }
    if (this.#unflushedBytes >= UNFLUSHED_BYTES) {
      if (!this.#operations.some(({ command }) => command === COMMAND.flush)) flush()
    } else this.#flushTimer ??= setTimeout(flush, UNFLUSHED_MS)
  }

  #keep(operation: Operation): void {
    operation.mark = this.#answers++
    this.#unflushed.push(operation)
    this.#unflushedBytes += operation.length
  }

  /** It is about the writes that had been answered when it was sent, and no other. */
  #flushed(flush: Operation): void {
    this.#unflushed = this.#unflushed.filter((write) => write.mark >= flush.mark)
    this.#unflushedBytes = this.#unflushed.reduce((sum, { length }) => sum + length, 0)
  }
}

/** A flush comes after everything before it; what overlaps keeps its order unless both only read. */
function mustWait(operation: Operation, earlier: Operation): boolean {
  if (operation.command === COMMAND.flush) return true
  if (earlier.command === COMMAND.flush) return false
  if (operation.command === COMMAND.read && earlier.command === COMMAND.read) return false
  return (
    operation.position < earlier.position + earlier.length && earlier.position < operation.position + operation.length
  )
}

function header({ command, cookie, position, length }: Operation): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES)
  bytes.writeUInt32BE(REQUEST_MAGIC, 0)
  bytes.writeUInt16BE(command, 6)
  bytes.writeBigUInt64BE(BigInt(cookie), 8)
  bytes.writeBigUInt64BE(BigInt(position), 16)
  bytes.writeUInt32BE(length, 24)
  return bytes
}

function failure(error: number): VmmError {
  if (error === NBD_ERROR.noSpace) return new VmmError('disk-full', 'The disk of the host is full.')
  return new VmmError('engine', `The disk refused what the guest asked for (error ${error}).`, {
    hint: 'Check the disk of the domain.',
  })
}
