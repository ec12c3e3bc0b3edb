import { REGISTRY_DATA_LIMIT, REGISTRY_PAGE, type RegistryDataView } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useNotices } from '../stores/notices'
import { below, isWithin, lastName, parentOf } from './registry-path'

/** Pages of a diff that are looked through to tell whether a deleted key can come back exactly. */
const PAGES_LOOKED = 20

/** The name of a value for people. */
export const shownName = (name: string): string => (name === '' ? '(Default)' : name)

/** Changes of keys and values that a person makes. All of them tell what went wrong themselves and answer whether it went well. */
export function useRegistryEdits(id: () => string) {
  const app = useApp()
  const dialogs = useDialogs()
  const notices = useNotices()

  const attempt = async (what: string, work: () => Promise<unknown>): Promise<boolean> =>
    (await notices.attempt(what, work)) !== undefined

  /** The path of the new key, or '' when it could not be made. */
  async function createKey(parent: string, name: string): Promise<string> {
    const key = below(parent, name)
    const made = await attempt(`Making the key ${name}`, () => app.call('registry.createKey', { id: id(), key }))
    return made ? key : ''
  }

  /** The new path, or '' when it could not be renamed. */
  async function renameKey(key: string, to: string): Promise<string> {
    const done = await attempt(`Renaming ${lastName(key)}`, () => app.call('registry.renameKey', { id: id(), key, to }))
    return done ? below(parentOf(key), to) : ''
  }

  /** Deletes a key with all in it, after a question. It can be undone where all of it came from the base hives. */
  async function deleteKey(key: string): Promise<boolean> {
    const owner = id()
    const place = await untouched(owner, key)
    const sure = await dialogs.ask({
      title: `Delete the key ${lastName(key)}?`,
      text: place
        ? `${key} goes with all keys and values in it. All of it comes from the base hives, so it can be brought back.`
        : `${key} goes with all keys and values in it. What was changed there by this domain cannot be brought back, except by a snapshot.`,
      action: 'Delete',
    })
    if (!sure) return false
    const gone = await attempt(`Deleting ${key}`, () => app.call('registry.deleteKey', { id: owner, key }))
    if (!gone) return false
    notices.tell(
      `The key ${key} was deleted.`,
      place ? [{ label: 'Undo', run: () => void bringBack(owner, place) }] : [],
    )
    return true
  }

  /** Where a branch really lies, when all of it is as in the base hives, so that a revert brings it back exactly; else ''. */
  async function untouched(owner: string, key: string): Promise<string> {
    try {
      const view = await app.call('registry.list', { id: owner, key, limit: 1 })
      const place = view.canonical || key
      for (let page = 0; page < PAGES_LOOKED; page++) {
        const offset = page * REGISTRY_PAGE
        const { entries, total } = await app.call('registry.diff', { id: owner, since: { base: true }, offset })
        if (entries.some((entry) => isWithin(entry.key, place))) return ''
        if (offset + entries.length >= total) return place
      }
      return ''
    } catch {
      return ''
    }
  }

  const bringBack = (owner: string, place: string): Promise<boolean> =>
    attempt(`Bringing ${place} back`, () =>
      app.call('registry.revert', { id: owner, since: { base: true }, entries: [{ key: place, value: null }] }),
    )

  const setValue = (key: string, name: string, type: number, data: Uint8Array): Promise<void> =>
    app.call('registry.setValue', { id: id(), key, name, type, data }).then(() => undefined)

  /** Deletes a value; it can be undone. One that is too large for that is asked about first. */
  async function deleteValue(key: string, name: string): Promise<boolean> {
    const owner = id()
    const read = () => app.call('registry.value', { id: owner, key, name })
    const before = await notices.attempt(`Deleting ${shownName(name)}`, read)
    if (!before) return false
    const whole = before.size <= REGISTRY_DATA_LIMIT
    const text = 'It is larger than 1 MiB and cannot be brought back, except by a snapshot.'
    if (!whole && !(await dialogs.ask({ title: `Delete ${shownName(name)}?`, text, action: 'Delete' }))) return false
    const remove = () => app.call('registry.deleteValue', { id: owner, key, name })
    if (!(await attempt(`Deleting ${shownName(name)}`, remove))) return false
    const undo = { label: 'Undo', run: () => void putBack(owner, key, name, before) }
    notices.tell(`The value ${shownName(name)} was deleted.`, whole ? [undo] : [])
    return true
  }

  const putBack = (owner: string, key: string, name: string, { type, bytes }: RegistryDataView): Promise<boolean> =>
    attempt(`Bringing ${shownName(name)} back`, () =>
      app.call('registry.setValue', { id: owner, key, name, type, data: new Uint8Array(bytes) }),
    )

  const renameValue = (key: string, name: string, to: string): Promise<boolean> =>
    attempt(`Renaming ${shownName(name)}`, () => app.call('registry.renameValue', { id: id(), key, name, to }))

  return { createKey, renameKey, deleteKey, setValue, deleteValue, renameValue }
}
