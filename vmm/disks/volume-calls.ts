import type { DiskCondition } from '../engine/engine'
import type { DiskSpec } from '../engine/machine-spec'

/** Where volumes are kept, and what seals them: each key has a folder of its own. */
export interface VolumePlace {
  folder: string
  /** Null for plain. */
  key: Uint8Array | null
}

/** Disks that are served while their machine runs. */
export interface ServedVolumes {
  /** Of a `VolumePlace`. */
  folder: string
  /** Where they are served over NBD, by their ids. */
  socket: string
  disks: readonly DiskSpec[]
}

/** What can be asked of volumes by main; see `VolumeStore`. */
export interface VolumeCalls {
  copyLayer(from: string, to: string): Promise<void>
  removeLayer(layer: string): Promise<void>
  layerBytes(layer: string): Promise<number>
  grow(layer: string, bytes: number): Promise<void>
  check(disk: DiskSpec): Promise<DiskCondition>
  sweep(layers: readonly string[]): Promise<void>
}
