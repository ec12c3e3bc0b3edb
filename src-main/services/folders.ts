import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { stateFiles, type StateFiles } from './state-files'

/** Where everything is in the data folder. Names follow from ids, which hold only a-z, 0-9 and '-'. */
export class Folders {
  constructor(readonly root: string) {}

  get images(): string {
    return path.join(this.root, 'images')
  }

  get domains(): string {
    return path.join(this.root, 'domains')
  }

  get uploads(): string {
    return path.join(this.root, 'uploads')
  }

  get firmware(): string {
    return path.join(this.root, 'firmware')
  }

  /** Disk content that layers share. */
  get layers(): string {
    return path.join(this.root, 'layers')
  }

  /** Sockets, logs and records of machines that outlive main. */
  get run(): string {
    return path.join(this.root, 'run')
  }

  /** Recordings of network traffic. */
  get captures(): string {
    return path.join(this.root, 'captures')
  }

  /** Packages and builds that can be fetched again. */
  get cache(): string {
    return path.join(this.root, 'cache')
  }

  image(id: string): string {
    return path.join(this.images, id)
  }

  /** Boot snapshots of an image. */
  bootSnapshots(imageId: string): string {
    return path.join(this.image(imageId), 'boot')
  }

  domain(id: string): string {
    return path.join(this.domains, id)
  }

  /** The files of a domain's present state. */
  present(id: string): StateFiles {
    return stateFiles(this.domain(id))
  }

  snapshots(domainId: string): string {
    return path.join(this.domain(domainId), 'snapshots')
  }

  snapshot(domainId: string, snapshotId: string): StateFiles {
    return stateFiles(path.join(this.snapshots(domainId), snapshotId))
  }

  /** What is kept of a share. */
  share(domainId: string, shareId: string): string {
    return path.join(this.domain(domainId), 'shares', shareId)
  }

  /** A domain's own changes of its registry. */
  registry(domainId: string): string {
    return path.join(this.domain(domainId), 'registry')
  }

  /** Base hives of the registry. */
  get hives(): string {
    return path.join(this.root, 'hives')
  }

  /** Those that are sealed with a key; '' for none. */
  hivesOf(keyId: string): string {
    return path.join(this.hives, keyId || 'plain')
  }

  /** Sealed disks of domains, by their key. */
  volumesOf(keyId: string): string {
    return path.join(this.root, 'volumes', keyId || 'plain')
  }

  async make(): Promise<void> {
    for (const folder of [
      this.root,
      this.images,
      this.domains,
      this.uploads,
      this.cache,
      this.layers,
      this.captures,
      this.hives,
    ]) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
    }
  }
}
