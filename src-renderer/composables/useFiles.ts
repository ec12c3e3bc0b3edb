import { computed } from 'vue'
import type { CallArgs, CallName, CallResult, DomainView, FilesView, ShareView } from '../../src-main/contract'
import { plural } from '../format'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useFileEvents, type Meters } from '../stores/files'
import { useNotices } from '../stores/notices'
import { useReading } from './useReading'

type Change = Omit<CallArgs<'files.updateShare'>, 'id' | 'shareId'>
type FilesCall = Extract<CallName, 'files.updateShare' | 'files.removeShare' | 'files.mount'>

/** The shares of a domain as main tells them, for whoever only needs to know them. */
export function useShares(id: () => string, more: () => unknown = () => '') {
  const app = useApp()
  const events = useFileEvents()
  return useReading<FilesView>(
    () => app.call('files.get', { id: id() }),
    () => `${id()} ${String(more())} ${events.of(id()).files.value}`,
  )
}

/** The shares of a domain and what its devices move, and what can be done to shares. */
export function useFiles(domain: () => DomainView) {
  const app = useApp()
  const dialogs = useDialogs()
  const events = useFileEvents()
  const notices = useNotices()
  const id = (): string => domain().id
  const reading = useShares(id, () => domain().state)

  const meters = computed<Meters>(
    () => events.of(id()).meters.value ?? reading.value.value ?? { devices: [], group: null },
  )

  async function change<N extends FilesCall>(what: string, done: string, call: N, args: CallArgs<N>): Promise<boolean> {
    const view: CallResult<N> | undefined = await notices.attempt(what, () => app.call(call, args))
    if (view) reading.put(view)
    if (view && done) notices.say(done)
    return view !== undefined
  }

  const update = (share: ShareView, patch: Change, done: string) =>
    change(`Changing ${share.name}`, done, 'files.updateShare', { id: id(), shareId: share.id, ...patch })

  const mount = () => change('Mounting the shares', 'Mounted', 'files.mount', { id: id() })

  /** Removes a share; asks first when the guest's changes would be lost with it. */
  async function remove(share: ShareView): Promise<void> {
    const owner = id()
    const kept = share.mode === 'copy-on-write' ? await changeCount(owner, share) : 0
    if (kept > 0) {
      const sure = await dialogs.ask({
        title: `Remove ${share.name} with its changes?`,
        text: `${plural(kept, 'change')} of the guest are kept and are deleted with the share. ${share.folder} stays as it is. To keep the changes, detach the share instead.`,
        action: 'Remove and delete changes',
      })
      if (!sure) return
    }
    const removed = await change(`Removing ${share.name}`, '', 'files.removeShare', { id: owner, shareId: share.id })
    if (removed) notices.tell(`${share.name} is not shared any more; ${share.folder} stays as it is.`)
  }

  /** How many changes go with the share; one at least where something is kept and they cannot be counted. */
  async function changeCount(owner: string, share: ShareView): Promise<number> {
    try {
      return (await app.call('files.changes', { id: owner, shareId: share.id, limit: 1 })).total
    } catch {
      return share.keptBytes > 0 ? 1 : 0
    }
  }

  return {
    view: reading.value,
    failure: reading.failure,
    refresh: reading.refresh,
    meters,
    update,
    mount,
    remove,
  }
}
