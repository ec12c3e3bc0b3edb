import { computed, onMounted, onScopeDispose, ref, type Ref } from 'vue'

/** Rows rendered beyond each edge of the viewport, so that fast scrolling shows no gaps. */
const OVERSCAN = 8

/** Renders only the rows of a long list that can be seen. `heightOf` gives a row's height in CSS pixels. */
export function useWindowing<Row>(
  rows: Ref<readonly Row[]>,
  heightOf: (row: Row) => number,
  viewport: Ref<HTMLElement | null>,
) {
  const scrollTop = ref(0)
  const viewHeight = ref(800)

  /** Top of each row, and after the last one the height of all. */
  const tops = computed(() => {
    const all = [0]
    for (const row of rows.value) all.push((all.at(-1) ?? 0) + heightOf(row))
    return all
  })
  const total = computed(() => tops.value.at(-1) ?? 0)

  const visible = computed(() => {
    const first = Math.max(0, rowAt(scrollTop.value) - OVERSCAN)
    const last = Math.min(rows.value.length, rowAt(scrollTop.value + viewHeight.value) + 1 + OVERSCAN)
    return rows.value
      .slice(first, last)
      .map((row, index) => ({ row, index: first + index, top: tops.value[first + index] ?? 0 }))
  })

  /** Index of the row at a height, by halving. */
  function rowAt(height: number): number {
    let low = 0
    let high = rows.value.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((tops.value[middle + 1] ?? Infinity) <= height) low = middle + 1
      else high = middle
    }
    return low
  }

  function reveal(index: number): void {
    const element = viewport.value
    const top = tops.value[index]
    const bottom = tops.value[index + 1]
    if (!element || top === undefined || bottom === undefined) return
    if (top < element.scrollTop) element.scrollTop = top
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight
    scrollTop.value = element.scrollTop
  }

  function scrolled(): void {
    if (viewport.value) scrollTop.value = viewport.value.scrollTop
  }

  const observer = new ResizeObserver(() => {
    if (viewport.value?.clientHeight) viewHeight.value = viewport.value.clientHeight
  })
  onMounted(() => viewport.value && observer.observe(viewport.value))
  onScopeDispose(() => observer.disconnect())

  return { visible, total, reveal, scrolled }
}
