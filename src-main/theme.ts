import { nativeTheme } from 'electron'
import type { Envelope, SettingsView } from './contract'
import type { Services } from './services/services'

/** Keeps native parts (dialogs, title bar, the page's preferred scheme) in the theme of the settings. */
export async function followTheme(services: Services): Promise<void> {
  const session = services.attach((event) => {
    if (event.topic === 'settings') nativeTheme.themeSource = event.payload.theme
  })
  await session.call('events.subscribe', { topics: ['settings'] })
  const settings: Envelope = await session.call('settings.get', {})
  if (settings.ok) nativeTheme.themeSource = (settings.value as SettingsView).theme
}
