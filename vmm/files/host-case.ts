import fs, { type BigIntStats } from 'node:fs'
import type { HostNode } from './host-node'
import { otherCase } from './host-names'
import type { HostReach } from './host-reach'
import type { FileName } from './provider'

/** Tells whether a name is there as it is written, on hosts where 'A' finds 'a' (or another spelling of an accent) as well. */
export class ExactNames {
  /** The names of the folder that was asked about last, as of a time of its. */
  #last: { node: HostNode; modified: bigint; names: ReadonlySet<FileName> } | null = null

  constructor(private readonly reach: HostReach) {}

  /** `found` is what the host has found for the name. */
  has(folder: HostNode, name: FileName, found: BigIntStats): boolean {
    return this.#isCaseExact(folder, name, found) || this.#names(folder).has(name)
  }

  forget(node: HostNode): void {
    if (this.#last?.node === node) this.#last = null
  }

  #isCaseExact(folder: HostNode, name: FileName, found: BigIntStats): boolean {
    if (folder.exactCase !== null) return folder.exactCase
    if (process.platform !== 'linux') return (folder.exactCase = false)
    const other = otherCase(name)
    if (other === name) return !/[\x80-\xff]/.test(name)
    const twin = fs.lstatSync(this.reach.entry(folder, other), { bigint: true, throwIfNoEntry: false })
    return (folder.exactCase = twin?.ino !== found.ino || twin.dev !== found.dev)
  }

  #names(folder: HostNode): ReadonlySet<FileName> {
    const modified = this.reach.stat(folder).mtimeNs
    if (this.#last?.node === folder && this.#last.modified === modified) return this.#last.names
    const names = new Set(fs.readdirSync(this.reach.folder(folder), { encoding: 'buffer' }).map(latin1))
    this.#last = { node: folder, modified, names }
    return names
  }
}

function latin1(name: Buffer): FileName {
  return name.toString('latin1')
}
