import { computed, ref, watch } from 'vue'
import { REGISTRY_PAGE, valueTypeName, type RegistryKeyView, type RegistryValueView } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { useFileEvents } from '../stores/files'
import { useNotices } from '../stores/notices'
import { useReading } from './useReading'

export const VALUE_COLUMNS = ['name', 'type', 'text', 'size'] as const
export type ValueColumn = (typeof VALUE_COLUMNS)[number]

export interface ValueOrder {
  column: ValueColumn
  down: boolean
}

/** Values in another order; of equals, and by name, the default value comes first. */
export function sortValues(values: readonly RegistryValueView[], { column, down }: ValueOrder): RegistryValueView[] {
  const compare = (a: RegistryValueView, b: RegistryValueView): number => {
    if (column === 'size') return a.size - b.size
    if (column === 'type') return valueTypeName(a.type).localeCompare(valueTypeName(b.type))
    return a[column].localeCompare(b[column], undefined, { numeric: true, sensitivity: 'base' })
  }
  return [...values].sort((a, b) => (down ? -compare(a, b) : compare(a, b)) || a.name.localeCompare(b.name))
}

/** The values of the chosen key, and which of them is chosen. */
export function useRegistryValues(id: () => string, key: () => string) {
  const app = useApp()
  const events = useFileEvents()
  const notices = useNotices()
  const order = ref<ValueOrder>({ column: 'name', down: false })
  /** Name of the value that is chosen; null for none. */
  const chosenName = ref<string | null>(null)
  /** How many were asked for. */
  const wanted = ref(REGISTRY_PAGE)

  watch([id, key], () => {
    wanted.value = REGISTRY_PAGE
    chosenName.value = null
  })
  const reading = useReading<RegistryKeyView>(read, () => `${id()} ${key()} ${events.of(id()).registry.value}`)

  function page(owner: string, path: string, offset: number): Promise<RegistryKeyView> {
    return app.call('registry.list', { id: owner, key: path, offset, limit: REGISTRY_PAGE })
  }

  /** As many values as were asked for, page by page. */
  async function read(): Promise<RegistryKeyView> {
    const [owner, path, most] = [id(), key(), wanted.value]
    const view = await page(owner, path, 0)
    const values = [...view.values]
    while (values.length < Math.min(most, view.valueTotal)) {
      const next = await page(owner, path, values.length)
      if (next.values.length === 0) break
      values.push(...next.values)
    }
    return { ...view, values }
  }

  async function more(): Promise<void> {
    wanted.value += REGISTRY_PAGE
    await reading.refresh()
  }

  const view = computed(() => {
    const told = reading.value.value
    // the answer about another key is not shown as this one's
    return told?.key.toUpperCase() === key().toUpperCase() ? told : null
  })
  const rows = computed(() => sortValues(view.value?.values ?? [], order.value))
  const left = computed(() => (view.value ? view.value.valueTotal - view.value.values.length : 0))
  const chosen = computed(() => rows.value.find(({ name }) => name === chosenName.value) ?? null)

  function sortBy(column: ValueColumn): void {
    const { column: now, down } = order.value
    order.value = { column, down: column === now && !down }
    notices.say(`Sorted by ${column === 'text' ? 'data' : column}, ${order.value.down ? 'descending' : 'ascending'}`)
  }

  return {
    view,
    failure: reading.failure,
    refresh: reading.refresh,
    rows,
    left,
    more,
    order,
    sortBy,
    chosenName,
    chosen,
  }
}
