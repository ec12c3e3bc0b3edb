import { randomUUID } from 'node:crypto'
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { asVmmError, VmmError } from '../../vmm/model/errors'
import type { Folders } from './folders'
import type { ClientSession } from './session'

/** Uploads one client may have open at a time. */
const OPEN_LIMIT = 4

interface Upload {
  file: string
  handle: FileHandle
  bytes: number
  /** How much has come, and how much of that is in the file. */
  received: number
  written: number
  owner: object
}

/** Files that a browser sends in pieces, because it has no path on this host to give. */
export class UploadService {
  readonly #uploads = new Map<string, Upload>()
  /** Owners of uploads that are being opened. */
  readonly #opening: object[] = []

  constructor(private readonly folders: Folders) {}

  /** `name` is what the person calls the file; it is told again where the file is spoken of. */
  async begin(owner: ClientSession, name: string, bytes: number): Promise<string> {
    const owners = [...this.#opening, ...[...this.#uploads.values()].map((upload) => upload.owner)]
    if (owners.filter((other) => other === owner).length >= OPEN_LIMIT) {
      throw new VmmError('conflict', 'Too many uploads at once.', { hint: 'Wait until one has ended.' })
    }
    const id = randomUUID()
    const file = path.join(this.folders.uploads, id, plainName(name))
    this.#opening.push(owner)
    try {
      await mkdir(path.dirname(file), { mode: 0o700 })
      this.#uploads.set(id, { file, handle: await open(file, 'wx', 0o600), bytes, received: 0, written: 0, owner })
    } finally {
      this.#opening.splice(this.#opening.indexOf(owner), 1)
    }
    if (owner.signal.aborted) await this.discard(id)
    return id
  }

  /** Chunks come in order, without gaps. An upload that the disk refuses is given up. */
  async chunk(owner: object, id: string, offset: number, bytes: Uint8Array): Promise<void> {
    const upload = this.#get(owner, id)
    if (offset !== upload.received || offset + bytes.byteLength > upload.bytes) {
      throw new VmmError('invalid', 'The upload does not continue where it stopped.', {
        hint: 'Begin the upload again.',
      })
    }
    upload.received += bytes.byteLength
    try {
      // not `write`: on a disk that fills up it takes a part and says nothing
      await upload.handle.writeFile(bytes)
      upload.written += bytes.byteLength
    } catch (error) {
      await this.discard(id)
      throw asVmmError(error, 'store the upload')
    }
  }

  /** The path of a finished upload; `discard` removes it. */
  path(owner: object, id: string): string {
    const upload = this.#get(owner, id)
    if (upload.written === upload.bytes) return upload.file
    throw new VmmError('invalid', 'The upload is not complete.', { hint: 'Begin the upload again.' })
  }

  async discard(id: string): Promise<void> {
    const upload = this.#uploads.get(id)
    if (!upload) return
    this.#uploads.delete(id)
    await upload.handle.close()
    await rm(path.dirname(upload.file), { recursive: true, force: true })
  }

  async discardOf(owner: object): Promise<void> {
    const ids = [...this.#uploads].filter(([, upload]) => upload.owner === owner).map(([id]) => id)
    await Promise.all(ids.map((id) => this.discard(id)))
  }

  #get(owner: object, id: string): Upload {
    const upload = this.#uploads.get(id)
    if (upload?.owner === owner) return upload
    throw new VmmError('not-found', 'There is no such upload.', { hint: 'Begin the upload again.' })
  }
}

/** A file name that means nothing to a file system but itself. */
function plainName(name: string): string {
  const plain = name.replace(/[^\p{L}\p{N} ._+-]/gu, '_').replace(/^\.+/, '_')
  return plain.slice(-80).trim() || 'upload'
}
