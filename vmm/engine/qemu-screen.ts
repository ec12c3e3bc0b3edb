import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import { VmmError } from '../model/errors'
import type { Display } from './display'
import type { Qmp } from './qemu-link'
import { RUN_FILES } from './qemu-names'

/** QEMU's own VNC server, on a socket in the machine's private folder. */
export class QemuScreen implements Display {
  constructor(
    private readonly folder: string,
    private readonly qmp: Qmp,
  ) {}

  connect(): Promise<Duplex> {
    const socket = connect(path.join(this.folder, RUN_FILES.screen))
    return new Promise((resolve, reject) => {
      socket.once('connect', () => resolve(socket))
      socket.once('error', (cause) => reject(new VmmError('engine', 'The screen of the machine is gone.', { cause })))
    })
  }

  async screenshot(): Promise<Uint8Array> {
    const name = `screen-${randomBytes(8).toString('hex')}.png`
    const file = path.join(this.folder, name)
    try {
      await this.qmp.run('screendump', { filename: name, format: 'png' })
      return await readFile(file)
    } finally {
      await rm(file, { force: true })
    }
  }
}
