import { defineStore } from 'pinia'
import { shallowRef, watch } from 'vue'
import type { CallArgs, FailureView, KeyProtection, KeysView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from './app'
import { useFileEvents } from './files'
import { useNotices } from './notices'

/** The keys that seal what is kept: how they are guarded, and whether they can be used now. */
export const useKeys = defineStore('keys', () => {
  const app = useApp()
  const events = useFileEvents()
  const notices = useNotices()
  const view = shallowRef<KeysView | null>(null)

  async function read(): Promise<void> {
    // what guards the keys is of no matter to the rest of the window
    view.value = await app.call('keys.get', {}).catch(() => null)
  }
  app.onConnected(read)
  watch(
    () => events.keys,
    () => void read(),
  )

  /** What is wrong with the passphrase; null when the keys are open now. */
  async function unlock(passphrase: string): Promise<FailureView | null> {
    try {
      view.value = await app.call('keys.unlock', { passphrase })
    } catch (thrown) {
      return failureOf(thrown)
    }
    notices.tell('The keys are open: domains with sealed data can start.')
    return null
  }

  async function change(what: string, done: string, work: () => Promise<KeysView>): Promise<boolean> {
    const told = await notices.attempt(what, work)
    if (!told) return false
    view.value = told
    notices.tell(done)
    return true
  }

  const protect = (protection: KeyProtection, passphrase: string) =>
    change('Guarding the keys', 'The keys are guarded in the new way.', () =>
      app.call('keys.protect', { protection, ...(protection === 'passphrase' ? { passphrase } : {}) }),
    )
  const exportTo = (file: CallArgs<'keys.export'>) =>
    change('Exporting the keys', `The keys were written to ${file.path}.`, () => app.call('keys.export', file))
  const importFrom = (file: CallArgs<'keys.import'>) =>
    change('Importing keys', 'The keys were imported.', () => app.call('keys.import', file))

  return { view, unlock, protect, exportTo, importFrom }
})
