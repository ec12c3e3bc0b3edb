import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import {
  decode,
  encode,
  NO_FID,
  NO_TAG,
  type Fields,
  type Message,
  type RequestName,
} from '../../vmm/files/ninep-messages'
import { NinepSplitter } from '../../vmm/files/ninep-splitter'
import { NinepSession } from '../../vmm/files/ninep-session'
import type { NinepOptions } from '../../vmm/files/ninep-state'

type Reply<N extends RequestName> = N extends `T${infer Rest}` ? Message<`R${Rest}` & Message['message']> : never

/** What the server answered instead of the reply. */
export class NinepError extends Error {
  constructor(readonly errno: number) {
    super(`errno ${errno}`)
  }
}

/** The guest's side of a connection: asks, and gets what is answered. */
export class NinepClient {
  readonly #waiting = new Map<number, (message: Message) => void>()
  #tag = 0
  #fid = 0
  /** Every reply, in the order they came. */
  readonly replies: Message[] = []

  constructor(private readonly transmit: (bytes: Buffer) => void) {}

  /** With a session in this process. */
  static on(options: Omit<NinepOptions, 'send'>): { client: NinepClient; session: NinepSession } {
    const client: NinepClient = new NinepClient((bytes) => session.receive(bytes))
    const session = new NinepSession({ ...options, send: (reply) => client.take(reply) })
    return { client, session }
  }

  static async connect(address: string): Promise<{ client: NinepClient; socket: Socket }> {
    const socket = connect(address)
    const splitter = new NinepSplitter()
    const client = new NinepClient((bytes) => socket.write(bytes))
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      splitter.push(chunk)
      for (let next = splitter.next(2 ** 31); next !== null && next !== -1; next = splitter.next(2 ** 31)) {
        client.take(next)
      }
    })
    await once(socket, 'connect')
    return { client, socket }
  }

  take(bytes: Uint8Array): void {
    const message = decode(bytes)
    this.replies.push(message)
    const answer = this.#waiting.get(message.tag)
    this.#waiting.delete(message.tag)
    answer?.(message)
  }

  newFid(): number {
    return this.#fid++
  }

  /** Sends a request, and tells its tag besides what becomes of it. */
  send<N extends RequestName>(
    name: N,
    fields: Fields<N>,
    tag = this.#newTag(),
  ): { tag: number; reply: Promise<Reply<N>> } {
    const reply = new Promise<Message>((resolve) => this.#waiting.set(tag, resolve)).then((message) => {
      if (message.message === 'Rlerror') throw new NinepError(message.errno)
      return message as Reply<N>
    })
    reply.catch(() => undefined)
    this.transmit(encode(name, tag, fields))
    return { tag, reply }
  }

  ask<N extends RequestName>(name: N, fields: Fields<N>): Promise<Reply<N>> {
    return this.send(name, fields).reply
  }

  async begin(aname = '', { msize = 131_096, uid = 0 } = {}): Promise<number> {
    await this.send('Tversion', { msize, version: '9P2000.L' }, NO_TAG).reply
    return this.attach(aname, uid)
  }

  async attach(aname = '', uid = 0): Promise<number> {
    const fid = this.newFid()
    await this.ask('Tattach', { fid, afid: NO_FID, uname: 'root', aname, uid })
    return fid
  }

  /** A new fid for what `path` (names between slashes) leads to. */
  async walk(from: number, path = ''): Promise<number> {
    const names = path.split('/').filter((name) => name !== '')
    const newFid = this.newFid()
    const { qids } = await this.ask('Twalk', { fid: from, newFid, names })
    if (qids.length < names.length) throw new NinepError(2)
    return newFid
  }

  async open(from: number, path: string, flags = 0): Promise<number> {
    const fid = await this.walk(from, path)
    await this.ask('Tlopen', { fid, flags })
    return fid
  }

  /** Makes a file in the folder and opens it for reading and writing. */
  async create(folder: number, name: string, { flags = 2, mode = 0o644, gid = 0 } = {}): Promise<number> {
    const fid = await this.walk(folder)
    await this.ask('Tlcreate', { fid, name, flags, mode, gid })
    return fid
  }

  async read(fid: number, offset = 0, count = 65_536): Promise<Buffer> {
    return Buffer.from((await this.ask('Tread', { fid, offset, count })).data)
  }

  async write(fid: number, data: Uint8Array | string, offset = 0): Promise<number> {
    return (await this.ask('Twrite', { fid, offset, data: Buffer.from(data as string) })).count
  }

  async clunk(fid: number): Promise<void> {
    await this.ask('Tclunk', { fid })
  }

  #newTag(): number {
    do this.#tag = (this.#tag + 1) % NO_TAG
    while (this.#waiting.has(this.#tag))
    return this.#tag
  }
}
