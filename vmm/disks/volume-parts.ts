import type { FileWork } from '../engine/engine'
import { VmmError } from '../model/errors'
import type { Volume } from './volume'

/** Bytes that are read at a time; between them others get a turn. */
const STEP = 1024 * 1024
const ZEROS = Buffer.alloc(STEP)

export interface VolumePart {
  at: number
  /** Good until the next part. */
  data: Buffer
  isZero: boolean
}

/** All of a volume, from its beginning to its end. Throws kind `cancelled`. */
export async function* partsOf(volume: Volume, { signal, onProgress }: FileWork): AsyncGenerator<VolumePart> {
  const step = Buffer.alloc(STEP)
  for (let at = 0; at < volume.size; at += STEP) {
    if (signal?.aborted) throw new VmmError('cancelled', 'Reading the disk was cancelled.')
    const data = step.subarray(0, Math.min(STEP, volume.size - at))
    volume.read(at, data)
    yield { at, data, isZero: data.equals(ZEROS.subarray(0, data.length)) }
    onProgress?.(at + data.length, volume.size)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
}
