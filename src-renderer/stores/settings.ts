import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import type { SettingsView } from '../../src-main/contract'
import { useApp } from './app'
import { useNotices } from './notices'

/** Settings that main keeps for every client. */
export const useSettings = defineStore('settings', () => {
  const app = useApp()
  const notices = useNotices()
  const value = shallowRef<SettingsView>({
    theme: 'system',
    consoleFontSize: 14,
    welcomed: true,
    dnsServers: [],
    sealing: true,
    sealDisks: false,
    groupLimits: [],
  })

  app.onConnected(async () => {
    value.value = await app.call('settings.get', {})
  })
  app.on('settings', (settings) => (value.value = settings))

  async function update(patch: Partial<SettingsView>): Promise<void> {
    value.value = { ...value.value, ...patch }
    await notices.attempt('Changing settings', () => app.call('settings.update', patch))
  }

  return { value, update }
})
