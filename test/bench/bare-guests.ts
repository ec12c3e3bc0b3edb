import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { StarterImage } from '../../vmm/images/starter'

const MEMORY_MIB = 224
/** Longer than anything that a bench has a guest do. */
const PATIENCE_MS = 300_000

export interface BareGuestOptions {
  /** Its sockets are made here, with `name` before them. */
  folder: string
  name: string
  image: StarterImage
  /** `-netdev`s without their ids; the guest's eth0, eth1 … are in this order. */
  netdevs: readonly string[]
  /** A byte that tells its MAC addresses from those of others. */
  number: number
}

/** A QEMU of its own, whose guest is told what to do on its serial console. Nothing of Vivarium is in the way. */
export class BareGuest {
  #said = ''
  #asked = 0

  private constructor(
    private readonly process: ChildProcess,
    private readonly console: Socket,
  ) {
    console.on('data', (bytes: Buffer) => (this.#said += bytes.toString('latin1')))
  }

  /** Resolves when its shell answers. */
  static async start({ folder, name, image, netdevs, number }: BareGuestOptions): Promise<BareGuest> {
    const cards = netdevs.flatMap((netdev, nic) => [
      ...['-netdev', netdev.replace(',', `,id=n${nic},`)],
      ...['-device', `virtio-net-pci,netdev=n${nic},mac=${macOf(number, nic)},romfile=`],
    ])
    const args = [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35,vmport=off', '-accel', 'tcg'],
      ...['-cpu', 'max', '-m', `${MEMORY_MIB}M`, '-kernel', image.kernel, '-initrd', image.initrd],
      ...['-append', image.cmdline, '-serial', `unix:${name}.console,server=on,wait=off`],
      ...cards,
    ]
    const qemu = spawn('qemu-system-x86_64', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
    const guest = new BareGuest(qemu, await dial(`${folder}/${name}.console`, qemu))
    await guest.#seen(/root@/)
    guest.console.write('stty -echo; PS1= PS2=\r')
    await guest.run('true')
    return guest
  }

  /** Runs a shell line; what it printed, trimmed. Fails when the line fails. */
  async run(line: string): Promise<string> {
    const mark = `mark-${++this.#asked}`
    this.console.write(`{ ${line}\n} 2>&1; echo "<$?>${mark}"\r`)
    const [all, said = '', status] = await this.#seen(new RegExp(`([^]*)<(\\d+)>${mark}`))
    this.#said = this.#said.slice(this.#said.indexOf(all) + all.length)
    if (status !== '0') throw new Error(`'${line}' ended with ${status}: ${said}`)
    return said.replaceAll('\r', '').trim()
  }

  async end(): Promise<void> {
    this.process.kill('SIGKILL')
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit')
    this.console.destroy()
  }

  async #seen(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const found = pattern.exec(this.#said)
      if (found) return found
      await delay(5)
      if (Date.now() > deadline) throw new Error(`no ${pattern} in: …${this.#said.slice(-2000)}`)
    }
  }
}

/** Of card `nic` of the guest with this number. */
export function macOf(number: number, nic: number): string {
  return `52:54:00:be:0${number}:0${nic}`
}

async function dial(path: string, qemu: ChildProcess): Promise<Socket> {
  for (;;) {
    const socket = connect(path)
    const connected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    if (connected) return socket
    if (qemu.exitCode !== null) throw new Error('QEMU has ended')
    await delay(20)
  }
}
