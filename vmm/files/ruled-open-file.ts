import type { FileUse } from './file-rules'
import type { OpenFile } from './provider'
import type { RuledCharges } from './ruled-charges'
import type { RuledNode } from './ruled-node'
import type { RuledTree } from './ruled-tree'

/** A file that was opened under rules, and is asked about by the rules of every moment. */
export class RuledOpenFile implements OpenFile {
  constructor(
    private readonly tree: RuledTree,
    private readonly charges: RuledCharges,
    private readonly node: RuledNode,
    private readonly inner: OpenFile,
    private readonly closed: () => void,
  ) {}

  read(position: number, into: Uint8Array): number {
    this.#check('read', 'read')
    return this.inner.read(position, into)
  }

  write(position: number, data: Uint8Array): void {
    const verdict = this.#check('change', 'write')
    const charged = { at: this.node, verdict, operation: 'write' }
    const end = data.length === 0 ? 0 : position + data.length
    this.charges.resizing(charged, end, false, () => this.inner.write(position, data))
  }

  sync(dataOnly: boolean): Promise<void> {
    return this.inner.sync(dataOnly)
  }

  close(): void {
    this.inner.close()
    this.closed()
  }

  #check(use: FileUse, operation: string) {
    return this.tree.check(this.node, use, operation)
  }
}
