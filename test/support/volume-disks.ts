import { join } from 'node:path'
import { VolumeStore } from '../../vmm/disks/volume-store'
import type { DiskSpec } from '../../vmm/engine/machine-spec'
import { BlobPool } from '../../vmm/sealed/blob-pool'
import { StoreKey } from '../../vmm/sealed/store-key'

export const MASTER = Buffer.alloc(32, 5)

/** The volumes in a folder, with little memory, so that it is used up. */
export function newVolumeStore(folder: string, master: Uint8Array | null = MASTER): VolumeStore {
  return new VolumeStore(join(folder, 'volumes'), StoreKey.of(master, 'volumes'), new BlobPool(4, 6))
}

/** A disk whose record lies in `folder`. */
export function volumeDisk(folder: string, id: string, more: Partial<DiskSpec> = {}): DiskSpec {
  return { id, base: null, baseBytes: 0, bytes: 160 * 1024, layer: join(folder, `${id}.layer`), served: null, ...more }
}

/** All that a disk holds that is not in use. */
export async function wholeVolume(store: VolumeStore, disk: DiskSpec): Promise<Buffer> {
  const volume = await store.open(disk, 'reader')
  try {
    const content = Buffer.alloc(volume.size)
    volume.read(0, content)
    return content
  } finally {
    await store.close(disk.layer)
  }
}
