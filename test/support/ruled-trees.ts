import type { FileReport } from '../../vmm/files/file-reports'
import type { Provider } from '../../vmm/files/provider'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import { RuledProvider } from '../../vmm/files/provider-ruled'
import { RuleBook } from '../../vmm/files/rule-book'
import type { FileRule } from '../../vmm/model/policy-files'
import { nodeAt, putFile } from './overlay-trees'
import { SimulatedClock } from './simulated-clock'

/** A rule of which only what matters is said. */
export function rule(
  name: string,
  action: FileRule['action'],
  paths: string[],
  more: Partial<FileRule> = {},
): FileRule {
  return { name, action, paths, shares: [], ignoreCase: false, to: '', bytes: 0, files: 0, ...more }
}

/** A tree as the share 'work' of a domain, with the other shares it has. */
export function ruledTree(inner: Provider, rules: readonly FileRule[] = [], others: Record<string, Provider> = {}) {
  const clock = new SimulatedClock()
  const reports: FileReport[] = []
  const trees: Record<string, Provider> = { work: inner, ...others }
  const tree = (share: string): Provider | null => trees[share] ?? null
  const book = new RuleBook({ clock, tree, report: (report) => void reports.push(report) })
  book.set(rules)
  return { ruled: new RuledProvider(inner, { share: 'work', book }), book, reports, clock }
}

export const FOLDER = { mode: 0o755, uid: 0, gid: 0 }

/** Folders end in '/'; files hold their path. */
export function filled(...paths: string[]): MemoryProvider {
  const tree = new MemoryProvider()
  for (const path of paths) {
    const names = path.split('/').filter(Boolean)
    const last = path.endsWith('/') ? null : names.pop()!
    let folder = tree.root()
    for (const name of names) {
      const known = tree.list(folder).some((entry) => entry.name === name)
      folder = known ? tree.lookup(folder, name) : tree.createFolder(folder, name, FOLDER)
    }
    if (last !== null) putFile(tree, folder, last, path)
  }
  return tree
}

/** What a folder is seen to hold, in order. */
export function namesIn(tree: Provider, path: string): string[] {
  return tree
    .list(nodeAt(tree, path))
    .map(({ name }) => name)
    .sort()
}

/** The same over a tree that is `filled`. */
export function ruledFiles(rules: FileRule[], ...paths: string[]) {
  const inner = filled(...paths)
  return { inner, ...ruledTree(inner, rules) }
}
