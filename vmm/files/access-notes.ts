import type { AccessNote } from './files-protocol'

/** Different notes of a domain that are told between two reports; more are counted only. */
const TOLD_MOST = 50

type Noted = Omit<AccessNote, 'at'>

/** What rules refused or noted, the same told once with a count: a guest in a loop must not flood main. */
export class AccessNotes {
  readonly #notes = new Map<string, Map<string, AccessNote>>()
  readonly #untold = new Map<string, number>()

  constructor(private readonly now: () => number) {}

  add(noted: Noted): void {
    const { domainId, kind, share, path, operation, action, rule } = noted
    const notes = this.#notes.get(domainId) ?? new Map<string, AccessNote>()
    this.#notes.set(domainId, notes)
    const key = [kind, share, operation, action, rule, path].join('\0')
    const known = notes.get(key)
    if (known) {
      known.count += noted.count
      known.at = this.now()
    } else if (notes.size < TOLD_MOST) {
      notes.set(key, { ...noted, at: this.now() })
    } else {
      this.#untold.set(domainId, (this.#untold.get(domainId) ?? 0) + noted.count)
    }
  }

  /** All since the last time. */
  take(): { notes: AccessNote[]; untold: [domainId: string, count: number][] } {
    const notes = [...this.#notes.values()].flatMap((each) => [...each.values()])
    const untold = [...this.#untold]
    this.#notes.clear()
    this.#untold.clear()
    return { notes, untold }
  }

  forget(domainId: string): void {
    this.#notes.delete(domainId)
    this.#untold.delete(domainId)
  }
}
