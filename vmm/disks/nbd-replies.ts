import {
  HANDSHAKE,
  INFO,
  MAGIC,
  NBD_ERROR,
  OPTION,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
  PAYLOAD_MOST,
  REPLY_BYTES,
  REPLY_MAGIC,
} from './nbd-protocol'

const GREETING_BYTES = 18
const OPTION_REPLY_BYTES = 20
const OPTION_REPLY_MOST = 4096

interface Events {
  send(bytes: Buffer): void
  /** The export is there, of `size` bytes. */
  ready(size: number): void
  /** Bytes that a request reads when it succeeds; null for one that is not under way. */
  lengthOf(cookie: number): number | null
  reply(cookie: number, error: number, data: Buffer): void
}

/** What a server says on one connection: the haggling over the export `name`, then replies. */
export class NbdReplies {
  #input: Buffer[] = []
  #bytes = 0
  #next: 'greeting' | 'option' | 'reply' = 'greeting'
  #size: number | null = null

  constructor(
    private readonly name: string,
    private readonly on: Events,
  ) {}

  /** Returns false when the server breaks the rules, or has no such export. */
  take(data: Buffer): boolean {
    this.#input.push(data)
    this.#bytes += data.length
    for (;;) {
      const used = this.#take()
      if (used === 0) return true
      if (used < 0) return false
      const rest = this.#joined(this.#bytes).subarray(used)
      this.#input = rest.length > 0 ? [rest] : []
      this.#bytes = rest.length
    }
  }

  /** Bytes of the next whole piece, 0 when there is none yet, -1 when it is wrong. */
  #take(): number {
    if (this.#next === 'greeting') return this.#greeting()
    return this.#next === 'option' ? this.#option() : this.#reply()
  }

  #greeting(): number {
    if (this.#bytes < GREETING_BYTES) return 0
    const head = this.#joined(GREETING_BYTES)
    if (head.readBigUInt64BE(0) !== MAGIC || head.readBigUInt64BE(8) !== OPTION_MAGIC) return -1
    const name = Buffer.from(this.name)
    const hello = Buffer.alloc(4 + 16 + 4 + name.length + 2)
    hello.writeUInt32BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 0)
    hello.writeBigUInt64BE(OPTION_MAGIC, 4)
    hello.writeUInt32BE(OPTION.go, 12)
    hello.writeUInt32BE(4 + name.length + 2, 16)
    hello.writeUInt32BE(name.length, 20)
    name.copy(hello, 24)
    this.#next = 'option'
    this.on.send(hello)
    return GREETING_BYTES
  }

  #option(): number {
    if (this.#bytes < OPTION_REPLY_BYTES) return 0
    const head = this.#joined(OPTION_REPLY_BYTES)
    const type = head.readUInt32BE(12)
    const length = head.readUInt32BE(16)
    if (head.readBigUInt64BE(0) !== OPTION_REPLY_MAGIC || length > OPTION_REPLY_MOST) return -1
    const used = OPTION_REPLY_BYTES + length
    if (this.#bytes < used) return 0
    const data = this.#joined(used).subarray(OPTION_REPLY_BYTES, used)
    if (type === OPTION_REPLY.info) {
      if (data.length >= 10 && data.readUInt16BE(0) === INFO.export) this.#size = Number(data.readBigUInt64BE(2))
      return used
    }
    if (type !== OPTION_REPLY.acknowledge || this.#size === null) return -1
    this.#next = 'reply'
    this.on.ready(this.#size)
    return used
  }

  #reply(): number {
    if (this.#bytes < REPLY_BYTES) return 0
    const head = this.#joined(REPLY_BYTES)
    const error = head.readUInt32BE(4)
    const cookie = Number(head.readBigUInt64BE(8))
    const length = this.on.lengthOf(cookie)
    if (head.readUInt32BE(0) !== REPLY_MAGIC || length === null || length > PAYLOAD_MOST) return -1
    const used = REPLY_BYTES + (error === NBD_ERROR.none ? length : 0)
    if (this.#bytes < used) return 0
    this.on.reply(cookie, error, this.#joined(used).subarray(REPLY_BYTES, used))
    return used
  }

  /** The input, with at least its first `bytes` in one piece. */
  #joined(bytes: number): Buffer {
    if ((this.#input[0]?.length ?? 0) < bytes) this.#input = [Buffer.concat(this.#input)]
    return this.#input[0] as Buffer
  }
}
