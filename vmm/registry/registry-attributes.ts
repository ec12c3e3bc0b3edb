import { MODE, type Attributes } from '../files/provider'
import { msOfStamp, type FileTimeStamp } from './hive'
import type { RegistryNode } from './registry-nodes'

export interface NodeFacts {
  /** Kind bits of a mode. */
  kind: number
  size: number
  written: FileTimeStamp
}

/** A key or value as a file: root's, everybody may read it; the time is the key's. */
export function attributesOf(node: RegistryNode, { kind, size, written }: NodeFacts): Attributes {
  const ms = Math.max(0, msOfStamp(written))
  const time = { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 }
  const permissions = kind === MODE.folder ? 0o755 : kind === MODE.link ? 0o777 : 0o644
  return {
    ino: node.ino,
    mode: kind | permissions,
    links: kind === MODE.folder ? 2 : 1,
    uid: 0,
    gid: 0,
    device: { major: 0, minor: 0 },
    size,
    used: size,
    accessed: time,
    modified: time,
    changed: time,
  }
}
