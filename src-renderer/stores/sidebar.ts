import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import { recall, remember } from '../bridge'

export const SORTS = ['name', 'state', 'created'] as const
export type Sort = (typeof SORTS)[number]

/** How the list is looked at: kept by this client alone. */
export const useSidebar = defineStore('sidebar', () => {
  const sort = ref<Sort>(recall<Sort>('sort', 'name'))
  const folded = ref(new Set(recall<string[]>('folded', [])))
  const query = ref('')
  /** Whether the list is open over the details, in a narrow window. */
  const drawn = ref(false)

  watch(sort, (value) => remember('sort', value))
  watch(folded, (value) => remember('folded', [...value]))

  function toggleGroup(group: string): void {
    const next = new Set(folded.value)
    if (!next.delete(group)) next.add(group)
    folded.value = next
  }

  return { sort, folded, query, drawn, toggleGroup }
})
