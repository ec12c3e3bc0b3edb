import { computed, ref, shallowRef, watch } from 'vue'
import {
  CHANGES_MOST,
  type DomainView,
  type FailureView,
  type FileChangesView,
  type FileChangeView,
  type FileSidesView,
  type ShareView,
} from '../../src-main/contract'
import { failureOf } from '../failure'
import { plural } from '../format'
import { isLive } from '../state-words'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useFileEvents } from '../stores/files'
import { useNotices } from '../stores/notices'
import { useTasks } from '../stores/tasks'
import { growChanges, isAsked, withNewFolders, type ChangeFilter } from './change-tree'
import { useReading } from './useReading'
import { usePolling } from './useVisible'

const READ_EVERY_MS = 3000
/** More than these are read again only when asked for. */
const FOLLOWED_MOST = 1000

/** What the guest changed in a share, and what can be done about it. */
export function useChanges(domain: () => DomainView, share: () => ShareView) {
  const app = useApp()
  const dialogs = useDialogs()
  const events = useFileEvents()
  const notices = useNotices()
  const tasks = useTasks()
  const which = () => ({ id: domain().id, shareId: share().id })

  const reading = useReading<FileChangesView>(
    () => app.call('files.changes', { ...which(), limit: CHANGES_MOST }),
    () => `${domain().id} ${share().id} ${domain().state} ${events.of(domain().id).files.value}`,
  )
  const view = reading.value
  usePolling(
    reading.refresh,
    READ_EVERY_MS,
    () => isLive(domain().state) && app.status.phase === 'open' && (view.value?.total ?? 0) <= FOLLOWED_MOST,
    'later',
  )

  const text = ref('')
  const filter = ref<ChangeFilter>('all')
  const all = computed(() => view.value?.changes ?? [])
  const asked = computed(() => all.value.filter((change) => isAsked(change, text.value, filter.value)))
  const tree = computed(() => growChanges(asked.value))

  const chosen = shallowRef<ReadonlySet<string>>(new Set())
  // what is gone is not chosen any more
  watch(all, (changes) => {
    const there = new Set(changes.map(({ key }) => key))
    if ([...chosen.value].some((key) => !there.has(key))) {
      chosen.value = new Set([...chosen.value].filter((key) => there.has(key)))
    }
  })
  function choose(keys: readonly string[], on: boolean): void {
    const next = new Set(chosen.value)
    for (const key of keys) {
      if (on) next.add(key)
      else next.delete(key)
    }
    chosen.value = next
  }

  const looked = shallowRef<FileChangeView | null>(null)
  const sides = shallowRef<FileSidesView | null>(null)
  const sidesFailure = shallowRef<FailureView | null>(null)
  let number = 0
  /** Shows both sides of a changed file. */
  async function look(change: FileChangeView | null): Promise<void> {
    const mine = ++number
    if (looked.value?.key !== change?.key) [sides.value, sidesFailure.value] = [null, null]
    looked.value = change
    if (change?.type !== 'file') return
    try {
      const told = await app.call('files.sides', { ...which(), key: change.key })
      if (mine !== number) return
      sidesFailure.value = null
      if (!isSame(sides.value, told)) sides.value = told
    } catch (thrown) {
      if (mine === number) sidesFailure.value = failureOf(thrown)
    }
  }
  // the guest may have written to it again
  watch(all, (changes) => {
    const shown = looked.value
    if (!shown) return
    void look(changes.find(({ key }) => key === shown.key) ?? null)
  })

  /** Brings what is chosen to the host, after a question. */
  async function apply(): Promise<void> {
    const [owner, { name, folder }] = [which(), share()]
    const changes = withNewFolders(all.value, chosen.value)
    const answer = await dialogs.askApply({ share: name, folder, changes })
    if (!answer) return
    const keys = changes.map(({ key }) => key)
    await run(`Applying changes of ${name}`, () => app.call('files.apply', { ...owner, keys, ...answer }))
  }

  /** Throws away what is chosen, after a question. */
  async function discard(): Promise<void> {
    const [owner, { name, folder }] = [which(), share()]
    const keys = [...chosen.value]
    const sure = await dialogs.ask({
      title: `Discard ${plural(keys.length, 'change')}?`,
      text: `The guest then sees these files of ${name} again as they are in ${folder}. What it wrote is gone.`,
      action: 'Discard',
    })
    if (sure) await run(`Discarding changes of ${name}`, () => app.call('files.discard', { ...owner, keys }))
  }

  async function run(what: string, begin: () => ReturnType<typeof app.call<'files.apply'>>): Promise<void> {
    const task = await notices.attempt(what, begin)
    if (!task) return
    await tasks.follow(task)
    await reading.refresh()
  }

  return {
    view,
    failure: reading.failure,
    refresh: reading.refresh,
    all,
    asked,
    tree,
    text,
    filter,
    chosen,
    choose,
    looked,
    sides,
    sidesFailure,
    look,
    apply,
    discard,
  }
}

/** Whether both tell the same, so that lines need not be compared again. */
const isSame = (a: FileSidesView | null, b: FileSidesView): boolean =>
  a !== null && (Object.keys(b) as (keyof FileSidesView)[]).every((key) => a[key] === b[key])
