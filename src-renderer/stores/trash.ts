import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import type { TrashedView } from '../../src-main/contract'
import { useApp } from './app'

/** Deleted domains that can still be restored. */
export const useTrash = defineStore('trash', () => {
  const app = useApp()
  const list = shallowRef<TrashedView[]>([])

  async function read(): Promise<void> {
    list.value = await app.call('trash.list', {})
  }

  app.onConnected(read)
  // a domain that went or came back went to or came from here
  app.on('domains', ({ removed, changed }) => {
    const back = changed.some((domain) => list.value.some((trashed) => trashed.id === domain.id))
    if (removed.length > 0 || back) read().catch(() => {})
  })

  return { list, read }
})
