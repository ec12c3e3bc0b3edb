import { computed, ref, shallowRef, watch } from 'vue'
import {
  REGISTRY_PAGE,
  type CallArgs,
  type DomainView,
  type RegistryChangeView,
  type RegistryDiffView,
} from '../../src-main/contract'
import { plural } from '../format'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useDomains } from '../stores/domains'
import { useFileEvents } from '../stores/files'
import { useNotices } from '../stores/notices'
import { useSnapshots } from '../stores/snapshots'
import { entryId, entryMatches, type ChangeFilter } from './registry-diff'
import { useReading } from './useReading'

export type Since = NonNullable<CallArgs<'registry.diff'>['since']>

export interface SinceChoice {
  /** Such as 'snapshot:ID'. */
  id: string
  word: string
  since: Since
}

/** What differs between the registry of a domain and another state of it, or that of another domain. */
export function useRegistryDiff(domain: () => DomainView) {
  const app = useApp()
  const dialogs = useDialogs()
  const domains = useDomains()
  const events = useFileEvents()
  const notices = useNotices()
  const snapshots = useSnapshots()
  const id = (): string => domain().id

  const sinceId = ref('base')
  const choices = computed<SinceChoice[]>(() => [
    { id: 'base', word: 'The base hives', since: { base: true } },
    ...(snapshots.byDomain.get(id()) ?? []).map((snapshot) => ({
      id: `snapshot:${snapshot.id}`,
      word: `Snapshot ${snapshot.name}`,
      since: { snapshotId: snapshot.id },
    })),
    ...domains.list
      .filter((other) => other.id !== id())
      .map((other) => ({ id: `domain:${other.id}`, word: `Domain ${other.name}`, since: { domainId: other.id } })),
  ])
  const choice = computed(() => choices.value.find((one) => one.id === sinceId.value) ?? choices.value[0]!)
  // without the list of snapshots there is still the base to compare with
  watch(id, (owner) => void snapshots.read(owner).catch(() => {}), { immediate: true })

  const wanted = ref(REGISTRY_PAGE)
  const otherChanges = (): number => {
    const { since } = choice.value
    return 'domainId' in since ? events.of(since.domainId).registry.value : 0
  }
  const reading = useReading<RegistryDiffView>(
    read,
    () => `${id()} ${choice.value.id} ${events.of(id()).registry.value} ${otherChanges()}`,
  )
  const view = reading.value

  async function read(): Promise<RegistryDiffView> {
    const ask = { id: id(), since: choice.value.since }
    const first = await app.call('registry.diff', { ...ask, limit: REGISTRY_PAGE })
    const entries = [...first.entries]
    while (entries.length < Math.min(wanted.value, first.total)) {
      const next = await app.call('registry.diff', { ...ask, offset: entries.length, limit: REGISTRY_PAGE })
      if (next.entries.length === 0) break
      entries.push(...next.entries)
    }
    return { ...first, entries }
  }

  async function more(): Promise<void> {
    wanted.value += REGISTRY_PAGE
    await reading.refresh()
  }

  const text = ref('')
  const filter = ref<ChangeFilter>('all')
  const all = computed(() => view.value?.entries ?? [])
  const shown = computed(() => all.value.filter((entry) => entryMatches(entry, text.value.trim(), filter.value)))
  const left = computed(() => (view.value ? view.value.total - all.value.length : 0))

  const chosen = shallowRef<ReadonlySet<string>>(new Set())
  watch(choice, () => {
    chosen.value = new Set()
    wanted.value = REGISTRY_PAGE
    view.value = null
  })
  // what is gone is not chosen any more
  watch(all, (entries) => {
    const there = new Set(entries.map(entryId))
    const kept = [...chosen.value].filter((one) => there.has(one))
    if (kept.length < chosen.value.size) chosen.value = new Set(kept)
  })

  function choose(entries: readonly RegistryChangeView[], on: boolean): void {
    const next = new Set(chosen.value)
    for (const entry of entries) {
      if (on) next.add(entryId(entry))
      else next.delete(entryId(entry))
    }
    chosen.value = next
  }

  /** Why what is chosen cannot be put back, or ''. */
  const reason = computed(() => {
    if (chosen.value.size === 0) return 'Choose entries first.'
    return chosen.value.size > REGISTRY_PAGE ? `At most ${REGISTRY_PAGE} entries go at once; or put all back.` : ''
  })

  /** Puts what is chosen, or all, back to what it is on the other side, after a question. */
  async function revert(which: 'chosen' | 'all'): Promise<void> {
    const { since, word } = choice.value
    const owner = id()
    const entries = which === 'all' ? [] : all.value.filter((entry) => chosen.value.has(entryId(entry)))
    const many = which === 'all' ? (view.value?.total ?? 0) : entries.length
    const sure = await dialogs.ask({
      title: `Put ${plural(many, 'entry', 'entries')} back?`,
      text: `They are then as in: ${word}. What they are now is lost, unless a snapshot has it.`,
      action: 'Put back',
    })
    if (!sure) return
    const names = entries.map(({ key, value }) => ({ key, value }))
    const done = await notices.attempt('Putting entries back', () =>
      app.call('registry.revert', { id: owner, since, entries: names }),
    )
    if (done) notices.tell(`${plural(many, 'entry was', 'entries were')} put back.`)
    await reading.refresh()
  }

  return {
    sinceId,
    choices,
    choice,
    view,
    failure: reading.failure,
    refresh: reading.refresh,
    all,
    shown,
    left,
    more,
    text,
    filter,
    chosen,
    choose,
    reason,
    revert,
  }
}
