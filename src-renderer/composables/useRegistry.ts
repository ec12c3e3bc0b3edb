import { computed } from 'vue'
import type { DomainRegistry, DomainView, HiveView, RegistryView, WinePrefix } from '../../src-main/contract'
import { plural } from '../format'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useFileEvents } from '../stores/files'
import { useNotices } from '../stores/notices'
import { folded } from './registry-path'
import { useReading } from './useReading'

/** What an empty registry begins with. */
const FIRST_KEYS = ['HKLM\\Software', 'HKCU\\Software'] as const

/** The parts of a domain's registry: base hives, Wine prefixes, whether guests can mount it; and all hives that there are. */
export function useRegistry(domain: () => DomainView) {
  const app = useApp()
  const dialogs = useDialogs()
  const events = useFileEvents()
  const notices = useNotices()
  const id = (): string => domain().id
  const changed = () => `${id()} ${domain().state} ${events.of(id()).registry.value}`
  const reading = useReading<RegistryView>(() => app.call('registry.get', { id: id() }), changed)
  const kept = useReading<HiveView[]>(
    () => app.call('hives.list', {}),
    () => `${changed()} ${events.hives}`,
  )

  const view = reading.value
  const hives = computed(() => kept.value.value ?? [])
  /** The base hives of the domain by where they lie. */
  const mounts = computed(() =>
    (view.value?.hives ?? []).map((mount) => ({ ...mount, hive: hives.value.find(({ id }) => id === mount.hiveId) })),
  )
  const others = computed(() => hives.value.filter(({ id }) => !mounts.value.some(({ hiveId }) => hiveId === id)))
  const empty = computed(() => {
    const { hives: own, changes, prefixes } = view.value ?? { hives: [], changes: 1, prefixes: [] }
    return own.length === 0 && changes === 0 && prefixes.length === 0
  })

  async function update(what: string, registry: Partial<DomainRegistry>, done: string): Promise<boolean> {
    const told = await notices.attempt(what, () => app.call('registry.update', { id: id(), registry }))
    if (!told) return false
    reading.put(told)
    void kept.refresh()
    if (done) notices.say(done)
    return true
  }

  const serve = (served: boolean) =>
    update('Serving the registry', { served }, served ? 'Guests can mount it' : 'It is not served any more')

  /** Shows a hive that is kept already at a key of this domain, in place of what was there. */
  function addHive(hive: HiveView, at: string): Promise<boolean> {
    const rest = (view.value?.hives ?? []).filter((mount) => folded(mount.at) !== folded(at))
    return update(`Adding ${hive.name}`, { hives: [...rest, { hiveId: hive.id, at }] }, `${hive.name} is at ${at}`)
  }

  /** Takes a hive out of the domain, after a question: changes that rest upon it go with it. */
  async function dropHive(at: string): Promise<void> {
    const before = view.value?.hives ?? []
    const name = mounts.value.find((mount) => mount.at === at)?.hive?.name ?? at
    const sure = await dialogs.ask({
      title: `Take ${name} out of this registry?`,
      text: `What it holds at ${at} is not seen any more, and the domain’s own changes that rest upon it go. The hive itself is kept.`,
      action: 'Take out',
    })
    if (!sure) return
    const rest = before.filter((mount) => mount.at !== at)
    if (await update(`Taking ${name} out`, { hives: rest }, '')) {
      notices.tell(`${name} is not part of this registry any more.`)
    }
  }

  async function renameHive(hive: HiveView, name: string): Promise<void> {
    await notices.attempt(`Renaming ${hive.name}`, () => app.call('hives.rename', { hiveId: hive.id, name }))
    await kept.refresh()
  }

  async function removeHive(hive: HiveView): Promise<void> {
    const text = `${plural(hive.keys, 'key')} and ${plural(hive.values, 'value')} are deleted for good. No domain uses them.`
    if (!(await dialogs.ask({ title: `Delete the hive ${hive.name}?`, text, action: 'Delete' }))) return
    await notices.attempt(`Deleting ${hive.name}`, () => app.call('hives.remove', { hiveId: hive.id }))
    await kept.refresh()
  }

  const addPrefix = (prefix: WinePrefix) =>
    update('Adding the Wine prefix', { prefixes: [...(view.value?.prefixes ?? []), prefix] }, 'Wine prefix added')

  async function removePrefix(prefix: WinePrefix): Promise<void> {
    const rest = (view.value?.prefixes ?? []).filter((one) => !samePrefix(one, prefix))
    if (!(await update('Removing the Wine prefix', { prefixes: rest }, ''))) return
    const undo = { label: 'Undo', run: () => void addPrefix(prefix) }
    notices.tell(`${prefix.share}:${prefix.path} is left alone from now on. Its files stay as they are.`, [undo])
  }

  async function writePrefix(prefix: WinePrefix): Promise<void> {
    const where = `${prefix.share}:${prefix.path}`
    const done = await notices.attempt(`Writing into ${where}`, () =>
      app.call('registry.writePrefix', { id: id(), prefix }),
    )
    if (done) notices.tell(`The registry was written into ${where}.`)
  }

  async function takePrefix(prefix: WinePrefix): Promise<void> {
    const where = `${prefix.share}:${prefix.path}`
    const told = await notices.attempt(`Taking back from ${where}`, () =>
      app.call('registry.takePrefix', { id: id(), prefix }),
    )
    if (told) notices.tell(`${plural(told.changes, 'change')} came back from ${where}.`)
  }

  /** The keys that programs expect, and nothing in them. */
  async function startEmpty(): Promise<void> {
    await notices.attempt('Making the first keys', async () => {
      for (const key of FIRST_KEYS) await app.call('registry.createKey', { id: id(), key })
    })
    await reading.refresh()
  }

  async function refresh(): Promise<void> {
    await Promise.all([reading.refresh(), kept.refresh()])
  }

  return {
    view,
    failure: computed(() => reading.failure.value ?? kept.failure.value),
    refresh,
    mounts,
    others,
    empty,
    serve,
    addHive,
    dropHive,
    renameHive,
    removeHive,
    addPrefix,
    removePrefix,
    writePrefix,
    takePrefix,
    startEmpty,
  }
}

export const samePrefix = (a: WinePrefix, b: WinePrefix): boolean => a.share === b.share && a.path === b.path
