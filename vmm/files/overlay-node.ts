import type { OverlayContent } from './overlay-content'
import type { LowerStamp } from './overlay-lower'
import { MODE, type Attributes, type FileName, type FileNode, type FileTime } from './provider'

/** What a name in a folder leads to: a node of the overlay, or nothing although the lower tree has the name. */
export type OverlayEntry = OverlayNode | null

/** What the overlay keeps of a node that the guest has changed or that lies above one. */
export interface OwnPart {
  /** Kind and permissions. */
  mode: number
  uid: number
  gid: number
  device: { major: number; minor: number }
  accessed: FileTime
  modified: FileTime
  changed: FileTime
  /** Names that lead to it; 0: removed, and there while it is held. */
  links: number
  /** Of a folder: subfolders added, less those taken away. */
  subfolders: number
  /** The guest has set mode, owner or extended attributes. */
  attributed: boolean
  /** null: the lower one's. */
  xattrs: Map<string, Uint8Array> | null
  /** Of a symbolic link without a lower one. */
  target: string
  /** Of a folder: where it differs from the lower one. */
  entries: Map<FileName, OverlayEntry>
  /** Of a file: null while its bytes are the lower one's. */
  content: OverlayContent | null
  /** null without a lower one. */
  stamp: LowerStamp | null
}

/**
 * A file or folder as the guest sees it. A clean one is what the lower tree has at its place and lives only while it is
 * held or something below it is; a recorded one (`own`) is in the journal.
 */
export class OverlayNode {
  holds = 0
  /** Counts changes, since the overlay was opened. */
  revision = 0
  own: OwnPart | null = null
  /** Held in the lower tree while there. */
  lowerNode: FileNode | null = null
  /** Of a folder: what is clean and alive in it. */
  alive: Map<FileName, OverlayNode> | null = null
  readonly ino: number

  constructor(
    /** Its number in the journal, never used again; 0 while it is clean. */
    public id: number,
    /** Where it lies in the lower tree, names joined with '/', '' for the top; null when it is the guest's alone. */
    public lower: string | null,
    /** The folder it is in, null for the top; of a recorded file (which may have many names) of no meaning. */
    public parent: OverlayNode | null,
    public name: FileName,
  ) {
    this.ino = lower === null ? id : inoOfPlace(lower)
  }

  kind(): number {
    return (this.own?.mode ?? 0) & MODE.kind
  }
}

export const ROOT_ID = 1
/** Numbers of nodes in the journal stay below; those of places are above. */
export const IDS_MOST = 2 ** 52

/** The place of something in a folder of the lower tree. */
export const placeIn = (folder: string, name: FileName): string => (folder === '' ? name : `${folder}/${name}`)

/**
 * The inode number of a place in the lower tree: 52 bits of its hash, so that it is the same after an eviction and a
 * restart without being remembered. Nothing here relies on two places having two numbers; guests' tools tell hard links
 * by it, of which the overlay shows none for clean files.
 */
export function inoOfPlace(place: string): number {
  let low = 0x811c9dc5
  let high = 0x9e3779b9
  for (let at = 0; at < place.length; at++) {
    const byte = place.charCodeAt(at)
    low = Math.imul(low ^ byte, 0x01000193)
    high = Math.imul(high ^ byte, 0x85ebca6b)
    high ^= high >>> 13
  }
  low ^= low >>> 16
  return 2 ** 52 + ((high >>> 12) * 2 ** 32 + ((Math.imul(low, 0xc2b2ae35) ^ high) >>> 0))
}

export function timeNow(): FileTime {
  const ms = Date.now()
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 }
}

/** The part that a lower node gets when it is recorded. */
export function ownOf(lower: Attributes): OwnPart {
  return {
    mode: lower.mode,
    uid: lower.uid,
    gid: lower.gid,
    device: lower.device,
    accessed: lower.accessed,
    modified: lower.modified,
    changed: lower.changed,
    links: 1,
    subfolders: 0,
    attributed: false,
    xattrs: null,
    target: '',
    entries: new Map(),
    content: null,
    stamp: { size: lower.size, modified: lower.modified },
  }
}

/** The part of something that the guest has just made. */
export function ownAnew(mode: number, uid: number, gid: number): OwnPart {
  const now = timeNow()
  return {
    mode,
    uid,
    gid,
    device: { major: 0, minor: 0 },
    accessed: now,
    modified: now,
    changed: now,
    links: 1,
    subfolders: 0,
    attributed: false,
    xattrs: new Map(),
    target: '',
    entries: new Map(),
    content: null,
    stamp: null,
  }
}
