import { mkdir, readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import type { CheckedArgs, ImageView, TaskView } from '../contract'
import { VmmError } from '../../vmm/model/errors'
import type { ImageRecord, ImageRole } from '../../vmm/model/image'
import { buildStarter, type StarterImage } from '../../vmm/images/starter'
import { importImage, verifyImage } from '../../vmm/images/store'
import type { Storage } from '../../storage'
import type { Broadcast } from './broadcast'
import type { Folders } from './folders'
import { importFiles, nameFrom } from './image-import'
import type { Journal } from './journal'
import { linkOrCopy } from './state-files'
import type { TaskContext, TaskService } from './tasks'
import type { UploadService } from './uploads'

export interface ImagesParts {
  storage: Storage
  broadcast: Broadcast
  journal: Journal
  folders: Folders
  tasks: TaskService
  uploads: UploadService
}

/** The images that domains boot: the starter image and what people import. */
export class ImageService {
  readonly #images = new Map<string, ImageRecord>()
  readonly #damage = new Map<string, string>()
  #preparing: Promise<TaskView> | null = null

  constructor(private readonly parts: ImagesParts) {}

  async load(): Promise<void> {
    for (const image of await this.parts.storage.images.list()) {
      this.#images.set(image.id, image)
      await this.verify(image.id)
    }
  }

  find(id: string): ImageRecord | undefined {
    return this.#images.get(id)
  }

  get(id: string): ImageRecord {
    const image = this.#images.get(id)
    if (image) return image
    throw new VmmError('not-found', 'The image is gone.', { hint: 'Choose another image, or import it again.' })
  }

  /** Throws unless the image is one to lie below a disk, or to be in a CD drive. */
  requireKind(id: string, kind: 'disk' | 'cdrom'): void {
    const image = this.get(id)
    if (image.kind === kind) return
    throw new VmmError('invalid', `${image.name} is not a ${kind === 'cdrom' ? 'CD' : 'disk'} image.`, {
      hint: 'Choose another image.',
    })
  }

  /** The newest usable starter image. */
  starter(): ImageRecord | undefined {
    const usable = [...this.#images.values()].filter((image) => image.kind === 'starter' && !this.#damage.get(image.id))
    return usable.sort((a, b) => b.createdAt - a.createdAt)[0]
  }

  /** Path of an image's file. */
  file(image: ImageRecord, role: ImageRole): string | null {
    const file = image.files.find((candidate) => candidate.role === role)
    return file ? path.join(this.parts.folders.image(image.id), file.name) : null
  }

  /** Looks at the files once more; returns what is wrong with them, or ''. */
  async verify(id: string): Promise<string> {
    const image = this.get(id)
    const damage = await verifyImage(this.parts.folders.image(id), image.files)
    this.#damage.set(id, damage)
    return damage
  }

  async views(): Promise<ImageView[]> {
    const usage = await this.#usage()
    return await Promise.all([...this.#images.values()].map((image) => this.#view(image, usage.get(image.id) ?? 0)))
  }

  async publish(): Promise<void> {
    this.parts.broadcast.publish({ topic: 'images', payload: { all: await this.views() } })
  }

  /** Makes sure of the starter image; who asks while it is being made gets the same task. */
  async prepareStarter(): Promise<TaskView> {
    const done = () => (this.#preparing = null)
    this.#preparing ??= this.parts.tasks.start({
      kind: 'image.prepare',
      title: 'Preparing the starter image',
      cancellable: true,
      work: (context) => this.#prepareStarter(context).finally(done),
    })
    this.#preparing.catch(done)
    const { id } = await this.#preparing
    return this.parts.tasks.get(id)
  }

  async import(owner: object, args: CheckedArgs<'images.import'>): Promise<TaskView> {
    const paths = args.sources.map((source) =>
      'path' in source ? source.path : this.parts.uploads.path(owner, source.uploadId),
    )
    const uploads = args.sources.flatMap((source) => ('uploadId' in source ? [source.uploadId] : []))
    const name = args.name ?? nameFrom(paths[0] ?? '')
    return await this.parts.tasks.start({
      kind: 'image.import',
      title: `Importing ${name}`,
      cancellable: true,
      work: async (context) => {
        try {
          return await this.#import(context, name, paths, args)
        } finally {
          await Promise.all(uploads.map((id) => this.parts.uploads.discard(id)))
        }
      },
    })
  }

  async remove(id: string): Promise<void> {
    const image = this.get(id)
    const users = (await this.#usage()).get(id) ?? 0
    if (users > 0) {
      throw new VmmError('conflict', `${image.name} is used by ${users} ${users === 1 ? 'domain' : 'domains'}.`, {
        hint: 'Delete those domains first, also from the trash.',
      })
    }
    await this.parts.storage.images.remove(id)
    this.#images.delete(id)
    await rm(this.parts.folders.image(id), { recursive: true, force: true })
    await this.parts.journal.info(null, 'image.removed', `The image ${image.name} was removed.`)
    await this.publish()
  }

  /** How many domains, in the list and in the trash, need each image: now, or to revert to a snapshot. */
  async #usage(): Promise<Map<string, number>> {
    const usage = new Map<string, number>()
    const { domains, snapshots } = this.parts.storage
    const kept = await snapshots.list()
    for (const stored of await domains.list()) {
      if (!stored.ok || stored.record.ephemeral) continue
      const { id, spec } = stored.record
      const before = kept.filter(({ domainId }) => domainId === id).map(({ hardware }) => hardware?.disks ?? [])
      const disks = [...spec.disks, ...before.flat()]
      for (const used of new Set([spec.imageId, ...disks.map((disk) => disk.imageId)])) {
        usage.set(used, (usage.get(used) ?? 0) + 1)
      }
    }
    return usage
  }

  async #prepareStarter({ signal, progress }: TaskContext): Promise<string> {
    const built = await buildStarter({
      cacheFolder: path.join(this.parts.folders.cache, 'starter'),
      signal,
      onProgress: ({ step, done, total, unit }) => progress(step, done, total, unit),
    })
    const id = `starter-${built.contentKey.slice(0, 12)}`
    await this.#installFirmware(built)
    const known = this.#images.get(id)
    if (known && !(await this.verify(id))) return id
    const sources = [
      { role: 'kernel' as const, path: built.kernel },
      { role: 'initrd' as const, path: built.initrd },
    ]
    const files = await importImage({ sources, folder: this.parts.folders.image(id), signal })
    await this.#put({
      id,
      name: 'Starter image',
      kind: 'starter',
      files,
      cmdline: built.cmdline,
      agent: true,
      createdAt: Date.now(),
    })
    return id
  }

  /** The BIOS outlives the package cache: imported images need it too. */
  async #installFirmware(built: StarterImage): Promise<void> {
    const folder = this.parts.folders.firmware
    await mkdir(folder, { recursive: true, mode: 0o700 })
    for (const [from, name] of [
      [built.bios, 'bios.bin'],
      [built.vgaBios, 'vgabios.bin'],
    ] as const) {
      await linkOrCopy(from, path.join(folder, name))
    }
  }

  /** Returns the id of the image, of the first one where there are several. */
  async #import(context: TaskContext, name: string, paths: string[], args: CheckedArgs<'images.import'>) {
    const images = await importFiles(context, this.parts.folders, name, paths, args)
    try {
      for (const image of images) await this.#put(image)
    } catch (error) {
      const unknown = images.filter(({ id }) => !this.#images.has(id))
      for (const { id } of unknown) await rm(this.parts.folders.image(id), { recursive: true, force: true })
      throw error
    }
    return images[0]?.id
  }

  async #put(image: ImageRecord): Promise<void> {
    await this.parts.storage.images.put(image)
    this.#images.set(image.id, image)
    this.#damage.set(image.id, '')
    await this.parts.journal.info(null, 'image.added', `The image ${image.name} was added.`)
    await this.publish()
  }

  async #view(image: ImageRecord, usedBy: number): Promise<ImageView> {
    const kept = await readdir(this.parts.folders.bootSnapshots(image.id)).catch(() => [])
    return {
      id: image.id,
      name: image.name,
      kind: image.kind,
      bytes: image.files.reduce((sum, file) => sum + file.bytes, 0),
      agent: image.agent,
      cmdline: image.cmdline,
      createdAt: image.createdAt,
      usedBy,
      instantFor: kept.flatMap((name) => (name.endsWith('.state') ? [parseInt(name, 10)] : [])),
      damage: this.#damage.get(image.id) ?? '',
    }
  }
}
