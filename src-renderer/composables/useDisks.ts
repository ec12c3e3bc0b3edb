import { computed, ref, shallowRef, watch } from 'vue'
import type { DiskView, DomainView, FailureView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useDomains } from '../stores/domains'
import { useNotices } from '../stores/notices'

/** The disks of a domain, and what can be done to them. `domain` is what main last told. */
export function useDisks(domain: () => DomainView) {
  const app = useApp()
  const dialogs = useDialogs()
  const domains = useDomains()
  const notices = useNotices()
  const list = shallowRef<DiskView[]>([])
  const failure = shallowRef<FailureView | null>(null)
  const read = ref(false)

  // what is written grows while it runs; snapshots and tasks change what is shared
  const shape = computed(() => {
    const { id, state, diskMiB, disks, snapshotCount, taskId } = domain()
    return JSON.stringify([id, state, diskMiB, disks, snapshotCount, taskId])
  })
  watch(shape, refresh, { immediate: true })

  async function refresh(): Promise<void> {
    try {
      list.value = await app.call('disks.list', { id: domain().id })
      failure.value = null
    } catch (thrown) {
      failure.value = failureOf(thrown)
    }
    read.value = true
  }

  /** Why disks cannot be added, attached and removed now, or ''. */
  const fixed = computed(() => {
    const { state } = domain()
    if (state === 'off' || state === 'crashed') return ''
    return state === 'saved' ? 'Discard the saved state first.' : 'Possible while the domain is off.'
  })

  async function change(what: string, work: () => Promise<DomainView>): Promise<void> {
    const changed = await notices.attempt(what, work)
    if (!changed) return
    domains.put(changed)
    notices.say(`${what}: done`)
  }

  const attach = (disk: string, attached: boolean) =>
    change(attached ? `Attaching ${disk}` : `Detaching ${disk}`, () =>
      app.call('disks.update', { id: domain().id, disk, attached }),
    )

  const eject = (disk: string) =>
    change('Ejecting the CD', () => app.call('disks.update', { id: domain().id, disk, imageId: '' }))

  async function remove(disk: DiskView): Promise<void> {
    const drive = disk.kind === 'cdrom'
    const yes = await dialogs.ask({
      title: drive ? `Remove the CD drive ${disk.id}?` : `Remove ${disk.id}?`,
      text: drive
        ? 'The image that is in it stays among the images.'
        : 'What is on the disk now is lost. Snapshots keep what was on it when they were taken.',
      action: 'Remove',
      calm: drive,
    })
    if (!yes) return
    await change(`Removing ${disk.id}`, () => app.call('disks.remove', { id: domain().id, disk: disk.id }))
  }

  return { list, failure, read, fixed, refresh, attach, eject, remove }
}
