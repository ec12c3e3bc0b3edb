import type { BigIntStats } from 'node:fs'
import type { HostNode } from './host-node'
import type { FileName } from './provider'

/**
 * How the files of an attached folder are got at, such that no symbolic link is followed and nothing outside is met,
 * whoever changes the folder meanwhile. Paths are good until the next call only.
 */
export interface HostReach {
  readonly top: BigIntStats
  /** Leads to a folder itself. Throws ESTALE. */
  folder(node: HostNode): Buffer
  /** Leads to what has a name in a folder, which may be a link. Throws ESTALE for the folder. */
  entry(node: HostNode, name: FileName): Buffer
  stat(node: HostNode): BigIntStats
  /** Gives `work` a path to this very file, not a link. Throws ESTALE. */
  file<T>(node: HostNode, work: (path: Buffer) => T): T
  /** Keeps a way to something whose name is about to go. */
  pin(node: HostNode): void
  /** The name has stayed. */
  unpin(node: HostNode): void
  /** Nobody holds the node any more. */
  forget(node: HostNode): void
  close(): void
}
