import {
  BLOCK_BEST,
  BLOCK_LEAST,
  HANDSHAKE,
  INFO,
  MAGIC,
  OPTION,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
  PAYLOAD_MOST,
  TRANSMISSION,
} from './nbd-protocol'

const OPTION_HEADER = 16
/** An option holds hardly more than a name, which has at most 4096 bytes. */
const OPTION_MOST = 8192
const OPTIONS_MOST = 64
const FLAGS =
  TRANSMISSION.hasFlags |
  TRANSMISSION.flush |
  TRANSMISSION.fua |
  TRANSMISSION.trim |
  TRANSMISSION.writeZeroes |
  TRANSMISSION.multipleConnections

export const GREETING = greeting()

export interface Exports<T> {
  names(): Iterable<string>
  /** Null for a name that is not known. */
  get(name: string): (T & { size: number }) | null
}

export type HandshakeStep<T> =
  | { then: 'more'; used: number; reply?: Buffer }
  | { then: 'serve'; used: number; reply: Buffer; export: T }
  | { then: 'close'; reply?: Buffer }

/** The haggling of one client before it reads and writes. */
export class Handshake<T> {
  #noZeroes: boolean | null = null
  #options = 0

  constructor(private readonly exports: Exports<T>) {}

  /** Takes the next piece from `input`, or 0 bytes when there is not a whole one yet. */
  take(input: Buffer): HandshakeStep<T> {
    if (this.#noZeroes === null) return this.#flags(input)
    if (input.length < OPTION_HEADER) return { then: 'more', used: 0 }
    const option = input.readUInt32BE(8)
    const length = input.readUInt32BE(12)
    if (input.readBigUInt64BE(0) !== OPTION_MAGIC || length > OPTION_MOST) return { then: 'close' }
    const used = OPTION_HEADER + length
    if (input.length < used) return { then: 'more', used: 0 }
    if (++this.#options > OPTIONS_MOST) return { then: 'close' }
    const data = input.subarray(OPTION_HEADER, used)
    if (option === OPTION.exportName) return this.#exportName(data, used)
    if (option === OPTION.go || option === OPTION.info) return this.#go(option, data, used)
    if (option === OPTION.abort) return { then: 'close', reply: reply(option, OPTION_REPLY.acknowledge) }
    if (option === OPTION.list && length === 0) return { then: 'more', used, reply: this.#list() }
    const refusal = option === OPTION.list ? OPTION_REPLY.invalid : OPTION_REPLY.unsupported
    return { then: 'more', used, reply: reply(option, refusal) }
  }

  #flags(input: Buffer): HandshakeStep<T> {
    if (input.length < 4) return { then: 'more', used: 0 }
    const flags = input.readUInt32BE(0)
    if ((flags & ~(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes)) !== 0) return { then: 'close' }
    this.#noZeroes = (flags & HANDSHAKE.noZeroes) !== 0
    return { then: 'more', used: 4 }
  }

  /** The old way to choose an export, which has no way to refuse. */
  #exportName(data: Buffer, used: number): HandshakeStep<T> {
    const found = this.exports.get(data.toString())
    if (!found) return { then: 'close' }
    const answer = Buffer.alloc(this.#noZeroes ? 10 : 134)
    answer.writeBigUInt64BE(BigInt(found.size), 0)
    answer.writeUInt16BE(FLAGS, 8)
    return { then: 'serve', used, reply: answer, export: found }
  }

  #go(option: number, data: Buffer, used: number): HandshakeStep<T> {
    const nameLength = data.length >= 6 ? data.readUInt32BE(0) : -1
    if (nameLength < 0 || 4 + nameLength + 2 > data.length) {
      return { then: 'more', used, reply: reply(option, OPTION_REPLY.invalid) }
    }
    const found = this.exports.get(data.subarray(4, 4 + nameLength).toString())
    if (!found) return { then: 'more', used, reply: reply(option, OPTION_REPLY.unknown) }
    const answer = Buffer.concat([
      reply(option, OPTION_REPLY.info, exportInfo(found.size)),
      reply(option, OPTION_REPLY.info, blockSizeInfo()),
      reply(option, OPTION_REPLY.acknowledge),
    ])
    if (option === OPTION.info) return { then: 'more', used, reply: answer }
    return { then: 'serve', used, reply: answer, export: found }
  }

  #list(): Buffer {
    const servers = [...this.exports.names()].map((name) => {
      const text = Buffer.from(name)
      const data = Buffer.alloc(4 + text.length)
      data.writeUInt32BE(text.length, 0)
      text.copy(data, 4)
      return reply(OPTION.list, OPTION_REPLY.server, data)
    })
    return Buffer.concat([...servers, reply(OPTION.list, OPTION_REPLY.acknowledge)])
  }
}

function greeting(): Buffer {
  const bytes = Buffer.alloc(18)
  bytes.writeBigUInt64BE(MAGIC, 0)
  bytes.writeBigUInt64BE(OPTION_MAGIC, 8)
  bytes.writeUInt16BE(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes, 16)
  return bytes
}

function reply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(20)
  header.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0)
  header.writeUInt32BE(option, 8)
  header.writeUInt32BE(type, 12)
  header.writeUInt32BE(data.length, 16)
  return Buffer.concat([header, data])
}

function exportInfo(size: number): Buffer {
  const data = Buffer.alloc(12)
  data.writeUInt16BE(INFO.export, 0)
  data.writeBigUInt64BE(BigInt(size), 2)
  data.writeUInt16BE(FLAGS, 10)
  return data
}

function blockSizeInfo(): Buffer {
  const data = Buffer.alloc(14)
  data.writeUInt16BE(INFO.blockSize, 0)
  data.writeUInt32BE(BLOCK_LEAST, 2)
  data.writeUInt32BE(BLOCK_BEST, 6)
  data.writeUInt32BE(PAYLOAD_MOST, 10)
  return data
}
