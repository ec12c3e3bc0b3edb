import fs, { type BigIntStats } from 'node:fs'
import { FileError } from './file-error'
import type { HostNode } from './host-node'
import type { HostReach } from './host-reach'
import { nameBytes } from './host-names'
import { MODE, type FileName } from './provider'

/** (fcntl.h of Linux) Refers to a file without opening it: no device wakes up, no fifo waits. Node does not name it. */
const O_PATH = 0o10000000
const { O_DIRECTORY, O_NOFOLLOW } = fs.constants
/** Folders that are kept open, of all shares together. */
const FOLDERS_MOST = 512
/** Things without a name that are kept, of one share. */
const PINS_MOST = 4096

/** The folders used last, each with its descriptor. */
const folders = new Map<HostNode, number>()

/**
 * By descriptors: everything is addressed as /proc/self/fd/FOLDER/NAME, one step below a folder that is open, so that
 * nothing on the way can be exchanged between a check and its use. Files are opened by way of a descriptor that refers
 * to them already (O_PATH) and was compared with what is expected.
 */
export class LinuxReach implements HostReach {
  readonly top: BigIntStats
  readonly #top: number
  readonly #pins = new Map<HostNode, number>()

  /** The folder may be named by a link; it is the one found now until closed. */
  constructor(folder: string) {
    this.#top = fs.openSync(folder, O_PATH | O_DIRECTORY)
    this.top = fs.fstatSync(this.#top, { bigint: true })
  }

  static get works(): boolean {
    return process.platform === 'linux' && fs.existsSync('/proc/self/fd')
  }

  folder(node: HostNode): Buffer {
    return pathOf(this.#folder(node))
  }

  entry(node: HostNode, name: FileName): Buffer {
    return Buffer.concat([pathOf(this.#folder(node)), SLASH, nameBytes(name)])
  }

  stat(node: HostNode): BigIntStats {
    const pin = this.#pins.get(node)
    if (pin !== undefined) return fs.fstatSync(pin, { bigint: true })
    if (!node.parent || node.kind === MODE.folder) return fs.fstatSync(this.#folder(node), { bigint: true })
    return node.check(fs.lstatSync(this.entry(node.parent, node.name), { bigint: true, throwIfNoEntry: false }))
  }

  file<T>(node: HostNode, work: (path: Buffer) => T): T {
    const pin = this.#pins.get(node)
    if (pin !== undefined) return work(pathOf(pin))
    if (!node.parent || node.kind === MODE.folder) return work(this.folder(node))
    const fd = openAs(node, this.entry(node.parent, node.name))
    try {
      return work(pathOf(fd))
    } finally {
      fs.closeSync(fd)
    }
  }

  pin(node: HostNode): void {
    if (!node.parent || this.#pins.has(node) || this.#pins.size >= PINS_MOST) return
    this.#pins.set(node, openAs(node, this.entry(node.parent, node.name)))
  }

  unpin(node: HostNode): void {
    close(this.#pins, node)
  }

  forget(node: HostNode): void {
    close(this.#pins, node)
    close(folders, node)
  }

  close(): void {
    for (const fd of this.#pins.values()) fs.closeSync(fd)
    this.#pins.clear()
    fs.closeSync(this.#top)
  }

  #folder(node: HostNode): number {
    if (!node.parent) return this.#top
    const pin = this.#pins.get(node)
    if (pin !== undefined) return pin
    const known = folders.get(node)
    if (known !== undefined && this.#isInside(known)) {
      folders.delete(node)
      folders.set(node, known)
      return known
    }
    this.forget(node)
    const fd = this.#walk(node)
    folders.set(node, fd)
    const [oldest] = folders
    if (folders.size > FOLDERS_MOST && oldest) close(folders, oldest[0])
    return fd
  }

  /** Opens a folder step by step from the nearest one that is open. */
  #walk(node: HostNode): number {
    const steps: HostNode[] = []
    let above = node
    for (; above.parent && !this.#isOpen(above); above = above.parent) steps.push(above)
    const start = above.parent ? (this.#pins.get(above) ?? folders.get(above) ?? this.#top) : this.#top
    let fd = start
    for (const step of steps.reverse()) {
      const last = fd
      try {
        fd = openAs(step, Buffer.concat([pathOf(last), SLASH, nameBytes(step.name)]))
      } finally {
        if (last !== start) fs.closeSync(last)
      }
    }
    return fd
  }

  #isOpen(node: HostNode): boolean {
    const known = folders.get(node)
    return this.#pins.has(node) || (known !== undefined && this.#isInside(known))
  }

  /** Whether the host has not moved an open folder out of the share. */
  #isInside(fd: number): boolean {
    const top = fs.readlinkSync(pathOf(this.#top), 'latin1')
    return fs.readlinkSync(pathOf(fd), 'latin1').startsWith(top === '/' ? top : `${top}/`)
  }
}

const SLASH = Buffer.from('/')

function close(descriptors: Map<HostNode, number>, node: HostNode): void {
  const fd = descriptors.get(node)
  if (fd === undefined) return
  descriptors.delete(node)
  fs.closeSync(fd)
}

function pathOf(fd: number): Buffer {
  return Buffer.from(`/proc/self/fd/${fd}`, 'latin1')
}

/** Refers to what is at `path` if it is what `node` stands for. Throws ESTALE. */
function openAs(node: HostNode, path: Buffer): number {
  let fd: number
  try {
    fd = fs.openSync(path, O_PATH | O_NOFOLLOW)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw code === 'ENOENT' || code === 'ENOTDIR' ? new FileError('ESTALE', 'the host has removed it') : error
  }
  try {
    node.check(fs.fstatSync(fd, { bigint: true }))
    return fd
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}
