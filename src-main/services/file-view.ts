import type { IoDeviceView, ShareView } from '../contract'
import { shellLine } from '../../vmm/model/shell-words'
import { FIRST_DISK } from '../../vmm/model/hardware'
import { NO_RATES } from '../../vmm/model/policy-io'
import { mountPoint, type Share } from '../../vmm/model/share'
import { mountWords } from '../../vmm/machine/guest-shares'
import type { EngineId } from '../../vmm/model/domain'
import type { Domain } from './domain'

interface ShareFacts {
  engine: EngineId
  running: boolean
  trouble: string
  mountedAt: string
  keptBytes: number
  sealed: boolean
}

export function shareView(share: Share, facts: ShareFacts): ShareView {
  const { engine, running, trouble, mountedAt, keptBytes, sealed } = facts
  const served = running && share.attached
  return {
    ...share,
    state: trouble ? 'failed' : served ? 'served' : 'off',
    reason: trouble,
    mountedAt: served ? mountedAt : '',
    mountCommand: shellLine(
      mountWords(engine === 'embedded' ? 'virtio' : 'card', {
        name: share.name,
        point: mountPoint(share.name),
        cache: 'mmap',
      }),
    ),
    keptBytes,
    sealed: sealed && share.mode === 'copy-on-write',
  }
}

/** What an engine keeps does not pass the file process. */
const DISK_REASON = 'This disk is not sealed: it has limits of its own, in the settings of the domain.'

type Measured = Pick<IoDeviceView, 'now' | 'total' | 'waitedMs'>

/** All disks and shares of a domain, and all of them together first. */
export function devicesOf(
  { record: { spec, volumes } }: Domain,
  measured: (device: string) => Measured,
): IoDeviceView[] {
  const disks = [FIRST_DISK, ...spec.disks.filter(({ kind }) => kind === 'disk').map(({ id }) => id)]
  const shares = spec.shares.map(({ name }) => `share:${name}`)
  return ['', ...disks, ...shares].map((device) => {
    const limit = spec.policy.limits.io.find((each) => each.device === device)
    const { device: _, ...rates } = limit ?? { device, ...NO_RATES }
    const enforced = volumes || !disks.includes(device)
    return { device, rates, ...measured(device), enforced, reason: enforced ? '' : DISK_REASON }
  })
}
