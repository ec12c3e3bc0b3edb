import { computed, onScopeDispose, ref, watch, type Ref } from 'vue'
import { recall, remember, watchDark } from '../bridge'
import { useSettings } from '../stores/settings'

export type Shade = 'light' | 'dark'

const desktopIsDark = ref(false)
const shade = ref<Shade>('light')

/** The theme in use, after 'system' has been followed. */
export const useShade = (): Readonly<Ref<Shade>> => shade

/** Keeps the page in the theme that the settings ask for. Called once, by the root. */
export function useTheme(): void {
  const settings = useSettings()
  onScopeDispose(watchDark((dark) => (desktopIsDark.value = dark)))
  const wanted = computed<Shade>(() => {
    const { theme } = settings.value
    if (theme !== 'system') return theme
    return desktopIsDark.value ? 'dark' : 'light'
  })
  watch(wanted, apply)
  // the last theme, so that the window does not flash before the settings have been read
  apply(recall<Shade>('shade', wanted.value))

  function apply(next: Shade): void {
    shade.value = next
    document.documentElement.dataset['theme'] = next
    remember('shade', next)
  }
  watch(
    () => settings.value,
    () => apply(wanted.value),
  )
}
