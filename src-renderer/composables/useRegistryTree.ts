import { computed, ref, shallowRef, watch } from 'vue'
import { REGISTRY_PAGE, type FailureView, type RegistryKeyView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useFileEvents } from '../stores/files'
import { below, folded, isWithin, parentOf, typedPath } from './registry-path'
import { treeRows, withPage, type Branch, type Branches, type TreeRow } from './registry-tree'
import { useVisible } from './useVisible'

/** Pages of keys that are read to find one by its name. */
const PAGES_SOUGHT = 200

/** The tree of keys of a domain, read as far as it is opened, and the key that is chosen. */
export function useRegistryTree(id: () => string) {
  const app = useApp()
  const events = useFileEvents()
  const visible = useVisible()
  const branches = shallowRef<Branches>(new Map())
  const open = shallowRef<ReadonlySet<string>>(new Set())
  const chosen = ref('HKLM')
  const failure = shallowRef<FailureView | null>(null)
  const rows = computed(() => treeRows(branches.value, open.value))
  /** Grows when all is read anew: answers to older questions are then of no use. */
  let age = 0

  const page = (key: string, offset: number, limit = REGISTRY_PAGE): Promise<RegistryKeyView> =>
    app.call('registry.list', { id: id(), key, offset, limit })

  /** Reads on in the keys of a key; throws why it cannot. */
  async function readPage(key: string): Promise<Branch> {
    const mine = age
    const offset = branches.value.get(folded(key))?.subkeys.length ?? 0
    const next = withPage(branches.value.get(folded(key)), await page(key, offset), offset)
    if (mine === age) branches.value = new Map(branches.value).set(folded(key), next)
    return next
  }

  async function attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      failure.value = null
      return true
    } catch (thrown) {
      failure.value = failureOf(thrown)
      return false
    }
  }

  async function unfold(path: string): Promise<void> {
    open.value = new Set([...open.value, folded(path)])
    if (!branches.value.has(folded(path))) await attempt(() => readPage(path))
  }

  function fold(path: string): void {
    open.value = new Set([...open.value].filter((one) => !isWithin(one, path)))
    // nothing is chosen where it cannot be seen
    if (isWithin(chosen.value, path)) chosen.value = path
  }

  const toggle = async ({ path, open: isOpen }: TreeRow): Promise<void> => {
    if (isOpen) fold(path)
    else if (isOpen === false) await unfold(path)
  }

  const readMore = ({ path }: TreeRow): Promise<boolean> => attempt(() => readPage(path))

  /** Opens all above a key and chooses it; false when there is no such key, which `failure` then tells. */
  async function go(typed: string): Promise<boolean> {
    const path = typedPath(typed)
    // asked for itself: also a name that is on none of the first pages is found, or refused in main's words
    if (path === '' || !(await attempt(() => page(path, 0, 1)))) return false
    const names = path.split('\\')
    let at = ''
    for (const name of names) {
      if (at !== '') await unfold(at)
      at = await spelled(at, name)
    }
    chosen.value = at
    return true
  }

  /** The key `name` in a key as it is spelled there, read as far as it is needed to be seen. */
  async function spelled(parent: string, name: string): Promise<string> {
    for (let pages = 0; pages < PAGES_SOUGHT; pages++) {
      const branch = branches.value.get(folded(parent))
      const found = branch?.subkeys.find((key) => folded(key.name) === folded(name))
      if (found) return below(parent, found.name)
      if (branch && branch.subkeys.length >= branch.total) break
      if (!(await attempt(() => readPage(parent)))) break
    }
    return below(parent, name)
  }

  /** Reads anew all that is open, and replaces it in one go. */
  async function refresh(): Promise<void> {
    const mine = ++age
    const next = new Map<string, Branch>()
    await attempt(async () => {
      const paths = ['']
      // grows while it is gone through: what is open in what was read just now
      for (const path of paths) {
        const known = branches.value.get(folded(path))?.subkeys.length ?? 0
        const branch = await readAgain(path, known).catch((thrown: unknown) => {
          // a key that is gone is not shown any more
          if (path === '' || failureOf(thrown).kind !== 'not-found') throw thrown
          return null
        })
        if (mine !== age) return
        if (!branch) continue
        next.set(folded(path), branch)
        const children = branch.subkeys.filter(({ hasSubkeys }) => hasSubkeys).map(({ name }) => below(path, name))
        paths.push(...children.filter((child) => open.value.has(folded(child))))
      }
      branches.value = next
      keepChosen()
    })
  }

  async function readAgain(path: string, known: number): Promise<Branch> {
    let branch: Branch | undefined
    do {
      const offset = branch?.subkeys.length ?? 0
      branch = withPage(branch, await page(path, offset), offset)
    } while (branch.subkeys.length < Math.min(known, branch.total))
    return branch
  }

  /** What was chosen and is gone gives way to what it was in. */
  function keepChosen(): void {
    const there = new Set(rows.value.map(({ path }) => folded(path)))
    let at = chosen.value
    while (at !== '' && !there.has(folded(at))) at = parentOf(at)
    chosen.value = at || 'HKLM'
  }

  let missed = false
  watch(
    () => [id(), events.of(id()).registry.value, app.status.phase],
    (now, before) => {
      if (before && now[0] !== before[0]) [branches.value, open.value, chosen.value] = [new Map(), new Set(), 'HKLM']
      if (app.status.phase !== 'open') return
      if (visible.value) void refresh()
      else missed = true
    },
    { immediate: true },
  )
  watch(visible, (seen) => {
    if (seen && missed) void refresh()
    if (seen) missed = false
  })

  return { rows, chosen, failure, unfold, fold, toggle, readMore, go, refresh }
}
