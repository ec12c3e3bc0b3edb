import { damaged } from '../sealed/damage'
import type { OverlayBlobs } from './overlay-blobs'
import { BLOB_NAME } from './overlay-blobs'
import { OverlayContent } from './overlay-content'
import { BELOW, FLAG } from './overlay-encode'
import { LowerBelow, type LowerStamp, type LowerTree } from './overlay-lower'
import { IDS_MOST, OverlayNode, ownAnew, ROOT_ID } from './overlay-node'
import { OP, OpReader } from './overlay-record'
import { MODE, type FileName } from './provider'

const NAME_MOST = 255
const PLACE_MOST = 64 * 1024
const TARGET_MOST = 4095
const XATTR_MOST = 64 * 1024
const RECORD_MOST = 1024 * 1024
const SIZE_MOST = Number.MAX_SAFE_INTEGER
const KINDS: readonly number[] = [MODE.file, MODE.folder, MODE.link, MODE.block, MODE.character, MODE.fifo, MODE.socket]

interface StoredBlob {
  id: string
  below: { kind: 'nothing' } | { kind: 'blob'; number: number } | { kind: 'lower'; place: string; stamp: LowerStamp }
}

interface StoredNode {
  node: OverlayNode
  blob: number
  size: number
}

export interface ReplayedTree {
  root: OverlayNode
  nodes: Map<number, OverlayNode>
  /** Nodes without a name: removed while they were open. */
  nameless: OverlayNode[]
  nextNode: number
}

/** Builds a tree from what a journal says, which may be anything; throws kind `damaged`, naming the file. */
export class OverlayReplay {
  readonly #nodes = new Map<number, StoredNode>()
  readonly #entries = new Map<number, Map<FileName, number | null>>()
  readonly #xattrs = new Map<number, Map<string, Uint8Array>>()
  readonly #blobs = new Map<number, StoredBlob>()
  readonly #chunks = new Map<number, Uint8Array[]>()
  #nextNode = ROOT_ID + 1
  #nextBlob = 1

  constructor(
    private readonly file: string,
    private readonly blobs: OverlayBlobs,
    private readonly lower: LowerTree,
  ) {}

  apply(record: Uint8Array): void {
    const reader = new OpReader(record)
    try {
      while (!reader.atEnd) this.#applyNext(reader)
    } catch (error) {
      if (error instanceof RangeError) throw this.#damaged('says what no overlay says')
      throw error
    }
  }

  finish(): ReplayedTree {
    const nodes = new Map<number, OverlayNode>()
    for (const [id, { node }] of this.#nodes) nodes.set(id, node)
    const root = nodes.get(ROOT_ID) ?? new OverlayNode(ROOT_ID, '', null, '')
    if (root.lower !== '' || (root.own && root.kind() !== MODE.folder)) throw this.#damaged('has no top folder')
    this.#joinEntries(nodes)
    this.#joinContent(nodes)
    for (const [id, values] of this.#xattrs) {
      const own = nodes.get(id)?.own
      if (own?.xattrs) own.xattrs = values
    }
    const nameless = this.#checkReach(root, nodes)
    this.blobs.nextNumber = this.#nextBlob
    return { root, nodes, nameless, nextNode: this.#nextNode }
  }

  #applyNext(reader: OpReader): void {
    const op = reader.u8()
    if (op === OP.node) return this.#applyNode(reader)
    if (op === OP.entry || op === OP.whiteout || op === OP.asBelow) return this.#applyEntry(op, reader)
    if (op === OP.xattr || op === OP.noXattr) return this.#applyXattr(op, reader)
    if (op === OP.blob) return this.#applyBlob(reader)
    if (op === OP.gone) {
      const id = this.#id(reader)
      for (const known of [this.#nodes, this.#entries, this.#xattrs]) known.delete(id)
    } else if (op === OP.chunks) {
      const number = this.#blobNumber(reader)
      const record = reader.data(RECORD_MOST)
      const known = this.#chunks.get(number)
      if (known) known.push(record)
      else this.#chunks.set(number, [record])
    } else if (op === OP.blobGone) {
      const number = this.#blobNumber(reader)
      this.#blobs.delete(number)
      this.#chunks.delete(number)
    } else if (op === OP.counters) {
      this.#nextNode = Math.max(this.#nextNode, reader.whole(1, IDS_MOST))
      this.#nextBlob = Math.max(this.#nextBlob, reader.whole(1, IDS_MOST))
    } else throw new RangeError('op')
  }

  #applyNode(reader: OpReader): void {
    const id = this.#id(reader)
    const flags = reader.u8()
    const own = ownAnew(reader.u32(0o177777), reader.u32(), reader.u32())
    own.device = { major: reader.u32(), minor: reader.u32() }
    own.accessed = reader.time()
    own.modified = reader.time()
    own.changed = reader.time()
    own.subfolders = reader.whole(-IDS_MOST, IDS_MOST)
    const place = reader.text(PLACE_MOST)
    own.target = reader.text(TARGET_MOST)
    const blob = reader.whole(0, IDS_MOST)
    const size = reader.whole(0, SIZE_MOST)
    own.attributed = (flags & FLAG.attributed) !== 0
    own.xattrs = (flags & FLAG.ownXattrs) === 0 ? null : new Map()
    own.stamp = (flags & FLAG.stamp) === 0 ? null : readStamp(reader)
    if (!KINDS.includes(own.mode & MODE.kind)) throw new RangeError('kind')
    const lower = (flags & FLAG.lower) === 0 ? null : place
    if (lower !== null && !isPlace(lower)) throw new RangeError('place')
    const node = new OverlayNode(id, lower, null, '')
    node.own = own
    this.#nodes.set(id, { node, blob, size })
  }

  #applyEntry(op: number, reader: OpReader): void {
    const folder = this.#id(reader)
    const name = reader.text(NAME_MOST)
    if (!isName(name)) throw new RangeError('name')
    const entries = this.#entries.get(folder) ?? new Map<FileName, number | null>()
    this.#entries.set(folder, entries)
    if (op === OP.asBelow) entries.delete(name)
    else entries.set(name, op === OP.entry ? this.#id(reader) : null)
  }

  #applyXattr(op: number, reader: OpReader): void {
    const id = this.#id(reader)
    const name = reader.text(NAME_MOST)
    const values = this.#xattrs.get(id) ?? new Map<string, Uint8Array>()
    this.#xattrs.set(id, values)
    if (op === OP.xattr) values.set(name, Uint8Array.prototype.slice.call(reader.data(XATTR_MOST)))
    else values.delete(name)
  }

  #applyBlob(reader: OpReader): void {
    const number = this.#blobNumber(reader)
    const id = reader.text(64)
    if (!BLOB_NAME.test(id)) throw new RangeError('blob')
    const kind = reader.u8()
    if (kind === BELOW.nothing) this.#blobs.set(number, { id, below: { kind: 'nothing' } })
    else if (kind === BELOW.blob) {
      this.#blobs.set(number, { id, below: { kind: 'blob', number: reader.whole(1, IDS_MOST) } })
    } else if (kind === BELOW.lower) {
      const place = reader.text(PLACE_MOST)
      if (!isPlace(place)) throw new RangeError('place')
      this.#blobs.set(number, { id, below: { kind: 'lower', place, stamp: readStamp(reader) } })
    } else throw new RangeError('below')
  }

  #joinEntries(nodes: Map<number, OverlayNode>): void {
    for (const node of nodes.values()) if (node.own) node.own.links = 0
    const root = nodes.get(ROOT_ID)?.own
    if (root) root.links = 1
    for (const [id, entries] of this.#entries) {
      const folder = nodes.get(id)
      if (!folder?.own || folder.kind() !== MODE.folder) throw this.#damaged('names files in what is no folder')
      for (const [name, to] of entries) {
        const node = to === null ? null : nodes.get(to)
        if (node === undefined || node?.id === ROOT_ID) throw this.#damaged('names files that are not there')
        folder.own.entries.set(name, node)
        if (node?.own) this.#nameNode(node, folder, name)
      }
    }
  }

  #nameNode(node: OverlayNode, folder: OverlayNode, name: FileName): void {
    if (!node.own) return
    node.own.links++
    if (node.kind() === MODE.folder && node.own.links > 1) throw this.#damaged('has a folder in two places')
    node.parent = folder
    node.name = name
  }

  /** Chunks of content that nothing else tells of are what a crash has left: they come before the file that has them. */
  #joinContent(nodes: Map<number, OverlayNode>): void {
    const used = new Set<number>()
    for (const [id, { blob, size }] of this.#nodes) {
      const own = nodes.get(id)?.own
      if (!own || blob === 0) continue
      if ((own.mode & MODE.kind) !== MODE.file) throw this.#damaged('has content in what is no file')
      own.content = this.#content(blob, size, used)
    }
  }

  /** A blob and what lies below it; each belongs to one file. */
  #content(top: number, size: number, used: Set<number>): OverlayContent {
    const layers: { number: number; stored: StoredBlob }[] = []
    let below: OverlayContent | LowerBelow | null = null
    for (let number: number | null = top; number !== null;) {
      const stored = this.#blobs.get(number)
      if (!stored || used.has(number)) throw this.#damaged('tells of content that is not there')
      used.add(number)
      layers.push({ number, stored })
      const under: StoredBlob['below'] = stored.below
      if (under.kind === 'lower') below = new LowerBelow(this.lower, under.place, under.stamp)
      number = under.kind === 'blob' ? under.number : null
    }
    let content: OverlayContent | null = null
    for (const { number, stored } of layers.reverse()) {
      const records = this.#chunks.get(number) ?? []
      content = new OverlayContent(this.blobs, number, stored.id, content ?? below, { records, size })
    }
    return content as OverlayContent
  }

  /** Everything with a name is below the top folder. */
  #checkReach(root: OverlayNode, nodes: Map<number, OverlayNode>): OverlayNode[] {
    const seen = new Set<OverlayNode>([root])
    for (const folder of seen) {
      for (const node of folder.own?.entries.values() ?? []) if (node) seen.add(node)
    }
    const lost = [...nodes.values()].filter((node) => !seen.has(node))
    if (lost.some((node) => node.own?.links !== 0)) throw this.#damaged('has folders that are in themselves')
    return lost
  }

  #id(reader: OpReader): number {
    const id = reader.whole(ROOT_ID, IDS_MOST - 1)
    this.#nextNode = Math.max(this.#nextNode, id + 1)
    return id
  }

  #blobNumber(reader: OpReader): number {
    const number = reader.whole(1, IDS_MOST - 1)
    this.#nextBlob = Math.max(this.#nextBlob, number + 1)
    return number
  }

  #damaged(what: string) {
    return damaged(this.file, `The journal of a shared folder ${what}`)
  }
}

function readStamp(reader: OpReader): LowerStamp {
  return { size: reader.whole(0, SIZE_MOST), modified: reader.time() }
}

const isName = (name: string): boolean => name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)

const isPlace = (place: string): boolean =>
  place === '' || place.split('/').every((name) => isName(name) && name.length <= NAME_MOST)
