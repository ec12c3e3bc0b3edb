import type { EngineId } from '../model/domain'
import { formatAddress } from '../model/ipv4'
import { FILES_CARD } from '../files/files-card'

/** Data of one 9P message as guests mount it, bytes, and what stands around it: 128 KiB arrive in one piece. */
const MSIZE = { embedded: 128 * 1024 + 24, qemu: 512 * 1024 + 24 } as const
/** What v86 calls its 9P device. */
const VIRTIO_TAG = 'host9p'

/** The words after `mount` with which a Linux guest of an engine mounts a share. */
export function mountArguments(engine: EngineId, share: string, point: string): string[] {
  const usual = `version=9p2000.L,msize=${MSIZE[engine]},aname=${share}`
  return engine === 'embedded'
    ? ['-t', '9p', '-o', `trans=virtio,${usual}`, VIRTIO_TAG, point]
    : ['-t', '9p', '-o', `trans=tcp,port=${FILES_CARD.port},${usual}`, formatAddress(FILES_CARD.server), point]
}
