import type { FileDenialView } from '../contract'
import type { AccessNote, FilesReport } from '../../vmm/files/files-protocol'
import { safeText } from '../../vmm/model/safe-text'
import type { DomainService } from './domains'
import type { Journal } from './journal'

/** Denials kept of each domain for its window. */
const KEPT = 200
/** What is denied again within this time is the same denial, milliseconds. */
const SAME_WITHIN_MS = 5000

/** What policies refused of files and of the registry: for the window the newest, for ever in the log. */
export class FileDenials {
  readonly #kept = new Map<string, FileDenialView[]>()
  #seq = 0

  constructor(
    private readonly domains: DomainService,
    private readonly journal: Journal,
  ) {}

  of(domainId: string): FileDenialView[] {
    return [...(this.#kept.get(domainId) ?? [])]
  }

  find(domainId: string, seq: number): FileDenialView | undefined {
    return this.#kept.get(domainId)?.find((denial) => denial.seq === seq)
  }

  forget(domainId: string): void {
    this.#kept.delete(domainId)
  }

  /** Takes what is new; returns the denials among it, by domain. */
  take({ notes, untold }: FilesReport): Map<string, FileDenialView[]> {
    const fresh = new Map<string, FileDenialView[]>()
    const names = new Map(this.domains.all().map(({ id, name }) => [id, name]))
    for (const note of notes) {
      const name = names.get(note.domainId)
      if (name === undefined) continue
      if (note.action === 'log') {
        this.#write(note.domainId, 'files.noted', `${name}: ${words(note)}, noted by '${note.rule}'.`)
        continue
      }
      const view = this.#keep(note)
      if (view.count === note.count) {
        this.#write(note.domainId, 'files.denied', `${name} was refused ${words(note)} by '${note.rule}'.`)
      }
      fresh.set(note.domainId, [...(fresh.get(note.domainId) ?? []), view])
    }
    for (const [id, count] of untold) {
      const name = names.get(id)
      if (name !== undefined) this.#write(id, 'files.denied', `${count} further uses of files by ${name} were refused.`)
    }
    return fresh
  }

  #keep(note: AccessNote): FileDenialView {
    const { domainId, kind, share, operation, rule, index, count, at } = note
    const path = safeText(note.path, 1000)
    const kept = this.#kept.get(domainId) ?? []
    const same = kept.find(
      (denial) =>
        denial.kind === kind &&
        denial.share === share &&
        denial.path === path &&
        denial.operation === operation &&
        denial.rule === rule &&
        at - denial.at < SAME_WITHIN_MS,
    )
    const reason = `${words(note)} was refused by '${rule}'.`
    const view: FileDenialView = same
      ? { ...same, at, count: same.count + count }
      : { seq: ++this.#seq, at, domainId, kind, share, path, operation, rule, index, reason, count }
    this.#kept.set(domainId, [...kept.filter(({ seq }) => seq !== view.seq), view].slice(-KEPT))
    return view
  }

  /** A log that cannot be written, as on a full disk, must not end the files. */
  #write(domainId: string, event: string, message: string): void {
    const level = event === 'files.denied' ? 'warning' : 'info'
    this.journal[level](domainId, event, message).catch((error: unknown) => {
      console.error('vivarium: a denial could not be logged:', error)
    })
  }
}

function words({ kind, share, path, operation }: AccessNote): string {
  const where = kind === 'registry' ? `the key ${safeText(path, 500)}` : `${share}:${safeText(path, 500)}`
  return `to ${operation} ${where}`
}
