import fs from 'node:fs'
import { promisify } from 'node:util'
import type { HostNode } from './host-node'
import type { HostNodes } from './host-nodes'
import type { HostReach } from './host-reach'
import { asFileError } from './host-node'
import { MODE } from './provider'

const fsync = promisify(fs.fsync)
/** More than these are brought to the disk at once. */
const DIRTY_MOST = 4096

/** What was changed and may not have reached the host's disk yet. */
export class HostDirty {
  #nodes = new Set<HostNode>()

  constructor(
    private readonly reach: HostReach,
    private readonly nodes: HostNodes,
  ) {}

  add(...changed: HostNode[]): void {
    for (const node of changed) {
      if (this.#nodes.has(node)) continue
      node.holds++
      this.#nodes.add(node)
    }
    if (this.#nodes.size > DIRTY_MOST) for (const node of this.#take()) this.#sync(node, fs.fsyncSync)
  }

  async flush(): Promise<void> {
    const failures: unknown[] = []
    for (const node of this.#take())
      try {
        await this.#sync(node, fsync)
      } catch (error) {
        failures.push(error)
      }
    if (failures.length > 0) throw asFileError(failures[0])
  }

  #take(): HostNode[] {
    const taken = [...this.#nodes]
    this.#nodes.clear()
    return taken
  }

  /** What is gone needs no sync. */
  #sync<T>(node: HostNode, sync: (fd: number) => T): T | undefined {
    let fd: number
    try {
      fd = this.reach.file(node, (path) => fs.openSync(path, fs.constants.O_RDONLY))
    } catch {
      return undefined
    } finally {
      this.nodes.drop(node)
    }
    const close = (): void => fs.closeSync(fd)
    try {
      const result = sync(fd)
      if (result instanceof Promise) return result.finally(close) as T
      close()
      return result
    } catch (error) {
      close()
      throw error
    }
  }
}

/** Whether a sync of it means something. */
export function isSynced({ kind }: HostNode): boolean {
  return kind === MODE.file || (kind === MODE.folder && process.platform !== 'win32')
}
