import { CHUNK_LIMIT, VmmError } from '../../src-main/contract'
import type { useApp } from '../stores/app'

export interface UploadProgress {
  done: number
  total: number
}

/** Sends `file` to main in chunks; resolves to the upload's id. `signal` ends it early. */
export async function upload(
  file: File,
  call: ReturnType<typeof useApp>['call'],
  progress: (now: UploadProgress) => void,
  signal: AbortSignal,
): Promise<string> {
  const total = file.size
  const { uploadId } = await call('images.uploadBegin', { name: file.name.slice(0, 255), bytes: total })
  for (let offset = 0; offset < total; offset += CHUNK_LIMIT) {
    if (signal.aborted) throw new VmmError('cancelled', 'The upload was cancelled.')
    const bytes = new Uint8Array(await file.slice(offset, offset + CHUNK_LIMIT).arrayBuffer())
    await call('images.uploadChunk', { uploadId, offset, bytes })
    progress({ done: Math.min(total, offset + bytes.byteLength), total })
  }
  return uploadId
}
