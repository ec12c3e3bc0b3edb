import { HostFolderProvider } from './host-folder'
import { FileError } from './file-error'
import type { ChangesOutcome, FileChange, FileChanges, FileSides } from './files-protocol'
import type { OverlayProvider } from './overlay'
import { conflictsWithHost, type ChangeOutcome } from './overlay-apply'
import type { OverlayChange } from './overlay-changes'

/** Refusals that are told one by one. */
const REFUSED_MOST = 100

/** Long work that can be ended. */
export interface ChangesWork {
  signal: AbortSignal
  onProgress(done: number, total: number): void
}

/** What the guest changed below a folder ('' for all), in order of the paths; at most `limit` of it, and how much there is. */
export function listChanges(overlay: OverlayProvider, under: string, limit: number): FileChanges {
  const inside = under.replace(/^\/+|\/+$/g, '')
  const listed: FileChange[] = []
  const counts = { added: 0, changed: 0, deleted: 0 }
  let total = 0
  for (const change of overlay.changes()) {
    if (inside !== '' && change.path !== inside && !change.path.startsWith(`${inside}/`)) continue
    total++
    if (change.kind === 'added' || change.kind === 'deleted') counts[change.kind]++
    else counts.changed++
    if (listed.length < limit) listed.push(viewOf(overlay, change))
  }
  listed.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { changes: listed, total, ...counts }
}

function viewOf(overlay: OverlayProvider, change: OverlayChange): FileChange {
  const { path, kind, type, before, after, from = '' } = change
  return {
    path: `/${path}`,
    key: path,
    kind,
    type: type === 'device' ? 'other' : type,
    bytesBefore: before,
    bytesAfter: after,
    from: from === '' ? '' : `/${from}`,
    conflict: conflictsWithHost(overlay, path),
  }
}

/** The first bytes of a changed file as the host and as the guest has it. */
export function bothSides(overlay: OverlayProvider, path: string, limit: number): FileSides {
  const change = [...overlay.changes()].find((each) => each.path === path)
  if (!change) throw new FileError('ENOENT', 'there is no such change')
  const side = (which: 'host' | 'guest', there: number | null) =>
    there === null || change.type !== 'file' ? null : new Uint8Array(overlay.contentOf(path, which, limit))
  return {
    before: side('host', change.before),
    after: side('guest', change.after),
    bytesBefore: change.before ?? 0,
    bytesAfter: change.after ?? 0,
  }
}

/** Brings changes to the host's folder. */
export async function applyChanges(
  overlay: OverlayProvider,
  { folder, keys, force }: { folder: string; keys: readonly string[]; force: boolean },
  { signal, onProgress }: ChangesWork,
): Promise<ChangesOutcome> {
  const target = new HostFolderProvider({ folder, writable: true })
  try {
    const outcomes = await overlay.apply(keys, target, { force, signal, onProgress })
    await target.flush()
    await overlay.flush()
    return outcomeOf(outcomes)
  } finally {
    target.close()
  }
}

/** Throws changes away. */
export async function discardChanges(
  overlay: OverlayProvider,
  keys: readonly string[],
  { signal }: ChangesWork,
): Promise<ChangesOutcome> {
  const outcomes = overlay.discard(keys, signal)
  await overlay.flush()
  return outcomeOf(outcomes)
}

function outcomeOf(outcomes: readonly ChangeOutcome[]): ChangesOutcome {
  const refused = outcomes.filter(({ outcome }) => outcome !== 'done')
  return {
    done: outcomes.length - refused.length,
    refused: refused.slice(0, REFUSED_MOST).map(({ path, outcome, reason }) => ({
      path: `/${path}`,
      reason: outcome === 'conflict' ? reason || 'the host has changed it since' : reason,
    })),
  }
}
