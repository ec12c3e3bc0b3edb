import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export const GREETING = {
  QMP: { version: { qemu: { micro: 22, minor: 2, major: 7 }, package: '' }, capabilities: ['oob'] },
}

export interface Asked {
  execute: string
  arguments: unknown
  id: number
}

/** Answers one command; sends what it likes. Without it, everything is answered by `{}`. */
export type Script = (asked: Asked, say: (message: unknown) => void, socket: Socket) => void

/** What listens where QEMU would, on a real socket: it greets, negotiates, and does for the rest what it is told. */
export class ScriptedQmp {
  readonly asked: Asked[] = []
  readonly sockets: Socket[] = []
  readonly path: string
  readonly #server: Server

  constructor(
    folder: string,
    private readonly script: Script = (asked, say) => say({ return: {}, id: asked.id }),
    private readonly greeting: string | null = `${JSON.stringify(GREETING)}\r\n`,
  ) {
    this.path = join(folder, 'qmp.sock')
    this.#server = createServer((socket) => this.#serve(socket))
    onTestFinished(() => this.end())
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.path, resolve))
    return this
  }

  hangUp(): void {
    for (const socket of this.sockets.splice(0)) socket.destroy()
  }

  async end(): Promise<void> {
    this.hangUp()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    this.sockets.push(socket)
    socket.on('error', () => undefined)
    if (this.greeting !== null) socket.write(this.greeting)
    const say = (message: unknown) => void socket.write(`${JSON.stringify(message)}\r\n`)
    let held = ''
    socket.on('data', (bytes) => {
      const lines = (held + bytes.toString()).split('\n')
      held = lines.pop() ?? ''
      for (const line of lines) {
        const asked = JSON.parse(line) as Asked
        this.asked.push(asked)
        if (asked.execute === 'qmp_capabilities') say({ return: {}, id: asked.id })
        else this.script(asked, say, socket)
      }
    })
  }
}
