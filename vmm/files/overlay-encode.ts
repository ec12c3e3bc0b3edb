import { layersOf } from './overlay-blobs'
import { OverlayContent } from './overlay-content'
import type { OverlayEntry, OverlayNode } from './overlay-node'
import { OP, OpWriter } from './overlay-record'
import type { FileName } from './provider'

/** Flags of a node in the journal. */
export const FLAG = { lower: 1, attributed: 2, ownXattrs: 4, stamp: 8 } as const
/** What lies below a blob. */
export const BELOW = { nothing: 0, lower: 1, blob: 2 } as const
/** A record is closed once it has this much: well below what a journal takes, with one more operation in it. */
const RECORD_ENOUGH = 256 * 1024

export function encodeNode(ops: OpWriter, node: OverlayNode): void {
  const { own, id, lower } = node
  if (!own) return
  const flags =
    (lower === null ? 0 : FLAG.lower) |
    (own.attributed ? FLAG.attributed : 0) |
    (own.xattrs ? FLAG.ownXattrs : 0) |
    (own.stamp ? FLAG.stamp : 0)
  ops.u8(OP.node).f64(id).u8(flags).u32(own.mode).u32(own.uid).u32(own.gid)
  ops.u32(own.device.major).u32(own.device.minor)
  ops.time(own.accessed).time(own.modified).time(own.changed).f64(own.subfolders)
  ops.text(lower ?? '').text(own.target)
  ops.f64(own.content?.number ?? 0).f64(own.content?.size ?? 0)
  if (own.stamp) ops.f64(own.stamp.size).time(own.stamp.modified)
}

export function encodeEntry(ops: OpWriter, folder: OverlayNode, name: FileName, entry: OverlayEntry | undefined): void {
  ops.u8(entry ? OP.entry : entry === null ? OP.whiteout : OP.asBelow)
  ops.f64(folder.id).text(name)
  if (entry) ops.f64(entry.id)
}

export function encodeXattr(ops: OpWriter, node: OverlayNode, name: string, value: Uint8Array | null): void {
  ops
    .u8(value ? OP.xattr : OP.noXattr)
    .f64(node.id)
    .text(name)
  if (value) ops.data(value)
}

export function encodeBlob(ops: OpWriter, { number, id, below }: OverlayContent): void {
  ops.u8(OP.blob).f64(number).text(id)
  if (below === null) ops.u8(BELOW.nothing)
  else if (below instanceof OverlayContent) ops.u8(BELOW.blob).f64(below.number)
  else ops.u8(BELOW.lower).text(below.place).f64(below.stamp.size).time(below.stamp.modified)
}

export function encodeChunks(ops: OpWriter, number: number, record: Uint8Array): void {
  ops.u8(OP.chunks).f64(number).data(record)
}

export interface Counters {
  nodes: number
  blobs: number
}

export function encodeCounters(ops: OpWriter, { nodes, blobs }: Counters): void {
  ops.u8(OP.counters).f64(nodes).f64(blobs)
}

/** All that a journal must say of a tree; nothing may be unflushed. */
export function* encodeTree(nodes: Iterable<OverlayNode>, counters: Counters): Generator<Uint8Array> {
  const ops = new OpWriter()
  encodeCounters(ops, counters)
  for (const node of nodes) {
    encodeNode(ops, node)
    for (const [name, value] of node.own?.xattrs ?? []) {
      encodeXattr(ops, node, name, value)
      if (ops.bytes > RECORD_ENOUGH) yield ops.take()
    }
    for (const [name, entry] of node.own?.entries ?? []) {
      encodeEntry(ops, node, name, entry)
      if (ops.bytes > RECORD_ENOUGH) yield ops.take()
    }
    for (const content of layersOf(node.own?.content ?? null)) {
      encodeBlob(ops, content)
      for (const record of content.records()) {
        encodeChunks(ops, content.number, record)
        if (ops.bytes > RECORD_ENOUGH) yield ops.take()
      }
    }
    if (ops.bytes > RECORD_ENOUGH) yield ops.take()
  }
  if (ops.bytes > 0) yield ops.take()
}
