import { folded } from './key-names'
import type { FileTimeStamp, RegistryValue } from './hive'
import type { RegistryChange } from './registry-change'
import type { MergedKey } from './registry-layer'
import type { Registry } from './registry-tree'

/** What one registry has otherwise than another. Of a key that is added or deleted, all below it is listed too. */
export type RegistryDifference =
  | KeyDifference<'key-added'>
  | KeyDifference<'key-deleted'>
  | { kind: 'value-added'; path: string; after: RegistryValue }
  | { kind: 'value-changed'; path: string; before: RegistryValue; after: RegistryValue }
  | { kind: 'value-deleted'; path: string; before: RegistryValue }
  /** Only when times are asked for. */
  | { kind: 'key-written'; path: string; before: FileTimeStamp; after: FileTimeStamp }

interface KeyDifference<Kind> {
  kind: Kind
  path: string
  className: string | null
  link: boolean
  written: FileTimeStamp
}

export interface DiffOptions {
  /** A key, canonical; what lies elsewhere is not compared. */
  under?: string
  /** Whether the times of keys matter. */
  times?: boolean
  /** Stops after so many. */
  most?: number
}

/**
 * How to come from `before` to `after`, in the order of paths. Names are compared without case, data and types exactly. A
 * key of another class, or that is a symbolic link in one only, is deleted and added. What both have from one base hive
 * is not looked at. `more`: there are others beyond `most`.
 */
export function diffRegistries(before: Registry, after: Registry, options: DiffOptions = {}) {
  const names = options.under === undefined ? [] : options.under.split('\\')
  const comparing = new Comparing(options)
  comparing.maybe(names, before.tree.find(names), after.tree.find(names))
  return { differences: comparing.differences, more: comparing.more }
}

class Comparing {
  readonly differences: RegistryDifference[] = []
  more = false
  readonly #most: number
  readonly #times: boolean

  constructor({ most = Infinity, times = false }: DiffOptions) {
    this.#most = most
    this.#times = times
  }

  maybe(names: string[], before: MergedKey | null, after: MergedKey | null): void {
    if (this.more) return
    if (before && after && sameKind(before, after)) {
      this.#both(names, before, after)
      return
    }
    if (before) this.#whole('key-deleted', names, before)
    if (after) this.#whole('key-added', names, after)
  }

  #both(names: string[], before: MergedKey, after: MergedKey): void {
    const shared = before.hive === after.hive && before.id === after.id
    if (shared && !before.layer && !after.layer) return
    const path = names.join('\\')
    if (this.#times && before.written !== after.written)
      this.#add({ kind: 'key-written', path, before: before.written, after: after.written })
    for (const name of shared ? changedNames('values', before, after) : valueNames(before, after))
      this.#value(path, before.value(name), after.value(name))
    if (shared) {
      for (const name of changedNames('keys', before, after).sort()) {
        const [old, now] = [before.child(name), after.child(name)]
        this.maybe([...names, (now ?? old)?.name ?? name], old, now)
      }
    } else this.#children(names, before, after)
  }

  /** Children of both in one pass, as both are in order. */
  #children(names: string[], before: MergedKey, after: MergedKey): void {
    const [olds, nows] = [before.children(), after.children()]
    let [old, now] = [next(olds), next(nows)]
    while (old ?? now) {
      const order = orderOf(old?.name, now?.name)
      const key = order === 1 ? now!.key : old!.key
      this.maybe([...names, key.name], order === 1 ? null : old!.key, order === -1 ? null : now!.key)
      if (order !== 1) old = next(olds)
      if (order !== -1) now = next(nows)
    }
  }

  #value(path: string, before: RegistryValue | null, after: RegistryValue | null): void {
    if (before && after) {
      if (before.type === after.type && sameBytes(before.data, after.data)) return
      this.#add({ kind: 'value-changed', path, before, after })
    } else if (before) this.#add({ kind: 'value-deleted', path, before })
    else if (after) this.#add({ kind: 'value-added', path, after })
  }

  #whole(kind: 'key-added' | 'key-deleted', names: string[], key: MergedKey): void {
    const path = names.join('\\')
    const { className, link, written } = key
    this.#add({ kind, path, className, link, written })
    for (const value of key.values()) {
      if (this.more) return
      if (kind === 'key-added') this.#value(path, null, value)
      else this.#value(path, value, null)
    }
    for (const child of key.children()) {
      if (this.more) return
      this.#whole(kind, [...names, child.name], child)
    }
  }

  #add(difference: RegistryDifference): void {
    if (this.differences.length < this.#most) this.differences.push(difference)
    else this.more = true
  }
}

/** The changes that make `before` into `after`. With times, keys are touched last, as other changes set times too. */
export function changesOf(differences: Iterable<RegistryDifference>, at: FileTimeStamp): RegistryChange[] {
  const changes: RegistryChange[] = []
  const touched: RegistryChange[] = []
  let gone: string | null = null
  for (const difference of differences) {
    const { path } = difference
    if (difference.kind === 'key-deleted' || difference.kind === 'value-deleted') {
      if (gone !== null && (path === gone || path.startsWith(`${gone}\\`))) continue
      if (difference.kind === 'value-deleted')
        changes.push({ kind: 'delete-value', path, name: difference.before.name, at })
      else {
        changes.push({ kind: 'delete-key', path, at })
        gone = path
      }
      continue
    }
    gone = null
    switch (difference.kind) {
      case 'key-written':
        touched.push({ kind: 'touch-key', path, at: difference.after })
        break
      case 'key-added':
        changes.push(creation(difference))
        touched.push({ kind: 'touch-key', path, at: difference.written })
        break
      default:
        changes.push({ kind: 'set-value', path, value: difference.after, at })
    }
  }
  return [...changes, ...touched]
}

function creation({ path, className, link, written }: KeyDifference<'key-added'>): RegistryChange {
  return { kind: 'create-key', path, className, link, at: written }
}

function changedNames(what: 'keys' | 'values', one: MergedKey, other: MergedKey): string[] {
  return [...new Set([...(one.layer?.[what].keys() ?? []), ...(other.layer?.[what].keys() ?? [])])]
}

function valueNames(one: MergedKey, other: MergedKey): Set<string> {
  const names = new Set<string>()
  for (const key of [one, other]) for (const { name } of key.values()) names.add(folded(name))
  return names
}

const sameKind = (one: MergedKey, other: MergedKey): boolean =>
  one.className === other.className && one.link === other.link

/** Below 0: the old name is first, or there is no new one. */
function orderOf(old: string | undefined, now: string | undefined): -1 | 0 | 1 {
  if (old === undefined) return 1
  if (now === undefined || old < now) return -1
  return old === now ? 0 : 1
}

function next(keys: Generator<MergedKey, void>): { name: string; key: MergedKey } | null {
  const key = keys.next().value
  return key ? { name: folded(key.name), key } : null
}

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one === other || (one.length === other.length && Buffer.compare(one, other) === 0)
